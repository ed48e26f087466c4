/**
 * The README's minute with the real program: a server, somebody who listens, somebody who speaks, and
 * wscat that types the protocol by hand.
 */
import { describe, expect, it, vi } from 'vitest';
import { CliProcess, PROCESS_TEST_MS, ROOT, startServing, waitForMember } from '../support/cli-process.ts';

vi.setConfig({ testTimeout: PROCESS_TEST_MS });

/** wscat may have written its prompt before the line. */
const json = (line: string): Record<string, unknown> =>
  JSON.parse(line.replace(/^(> )+/, '')) as Record<string, unknown>;

describe('the minute of the README', () => {
  it('tail in one terminal hears publish in another', async () => {
    const { url, port } = await startServing();
    const tail = CliProcess.roomcast('tail', 'lobby', '--url', url, '--presence');
    // The second terminal speaks once the first is in the room; people wait by eye, this waits for the count.
    await waitForMember(port);
    const publish = CliProcess.roomcast('publish', 'lobby', '"hello"', '--url', url);
    expect(await publish.exited).toBe(0);
    const { epoch, seq } = json(publish.out[0] ?? '');
    expect(seq).toBe(1);
    expect(json(await tail.line('"hello"'))).toMatchObject({
      type: 'message',
      room: 'lobby',
      epoch,
      seq: 1,
      data: 'hello',
    });
    tail.child.kill('SIGINT');
    expect(await tail.exited).toBe(0);
    expect(tail.err).toContain(`roomcast: continue with --since ${String(epoch)}:1`);
  });

  it('a tail that comes later asks for history, or goes on where another ended', async () => {
    const { url } = await startServing();
    const positions: Record<string, unknown>[] = [];
    for (const word of ['one', 'two', 'three']) {
      const publish = CliProcess.roomcast('publish', 'lobby', '--text', word, '--url', url);
      expect(await publish.exited).toBe(0);
      positions.push(json(publish.out[0] ?? ''));
    }
    const history = CliProcess.roomcast('tail', 'lobby', '--url', url, '--history', '2', '--count', '2');
    expect(await history.exited).toBe(0);
    expect(history.out.map((line) => json(line)['data'])).toEqual(['two', 'three']);
    const since = `${String(positions[0]?.['epoch'])}:1`;
    const resumed = CliProcess.roomcast('tail', 'lobby', '--url', url, '--since', since, '--count', '2');
    expect(await resumed.exited).toBe(0);
    expect(resumed.out).toEqual(history.out);
    expect(resumed.err).toEqual(['roomcast: resumed after seq 1 with 2 missed messages']);
  });

  it('wscat types raw JSON', async () => {
    const { url } = await startServing();
    const wscat = CliProcess.start(`${ROOT}/node_modules/.bin/wscat`, ['-c', url]);
    // Outside a terminal wscat does not say that it is connected, and drops what is typed before.
    const knock = setInterval(() => wscat.type('{"type":"ping","id":0}'), 50);
    await wscat.line('"pong"').finally(() => clearInterval(knock));
    wscat.type('{"type":"join","id":1,"room":"lobby","history":10}');
    wscat.type('{"type":"publish","id":2,"room":"lobby","data":{"text":"hello"}}');
    const welcome = json(await wscat.line('"welcome"'));
    expect(json(await wscat.line('"joined"'))).toMatchObject({
      id: 1,
      room: 'lobby',
      seq: 0,
      messages: [],
      count: 1,
    });
    expect(json(await wscat.line('"ok"'))).toMatchObject({ id: 2, room: 'lobby', seq: 1 });
    expect(json(await wscat.line('"message"'))).toMatchObject({
      seq: 1,
      from: { user: welcome['user'], connection: welcome['connection'] },
      data: { text: 'hello' },
    });
    wscat.type('{"type":"publish","room":"lob');
    expect(json(await wscat.line('"error"'))).toMatchObject({ code: 'bad_request' });
    wscat.child.stdin?.end();
    expect(await wscat.exited).toBe(0);
  });
});
