/**
 * The scenario files for k6 and Artillery, run without the tools: what a tool would do with them is done
 * here, so that a frame or a field that the protocol does not know is found with the change that made it
 * wrong. Artillery itself is run by test/full/load-tools.full.test.ts; k6 is for whoever changes its file to try.
 */
import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { follow, stamp } from '../../bench/tools/artillery.mjs';
import { ROOT } from '../support/cli-process.ts';
import { clientFrameFault } from '../support/frame-schemas.ts';
import { nodeForTest } from '../support/node-for-test.ts';

const TOOLS = `${ROOT}/bench/tools`;

/** Sums of what was counted, and every latency. */
class Figures {
  readonly counts = new Map<string, number>();
  readonly latenciesMs: number[] = [];

  add(name: string, n: number): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + n);
  }

  of(name: string): number {
    return this.counts.get(name) ?? 0;
  }
}

/** Every frame a tool would send is looked at before it goes. */
function checkedSocket(url: string, protocols: string | string[], faults: string[]): WebSocket {
  const socket = new WebSocket(url, protocols);
  const send = socket.send.bind(socket);
  socket.send = (text: string) => {
    const fault = clientFrameFault(JSON.parse(text));
    if (fault !== undefined) faults.push(`${text}: ${fault}`);
    send(text);
  };
  return socket;
}

const settled = (socket: WebSocket): Promise<void> =>
  new Promise((resolve) => socket.once('close', () => resolve()));

it('the k6 scenario talks the protocol, counts every message, and judges by metrics that it has', async () => {
  const node = await nodeForTest({});
  const figures = new Figures();
  const metrics = new Set<string>();
  const verdicts: [string, boolean][] = [];
  const sockets: WebSocket[] = [];
  const faults: string[] = [];
  class Metric {
    readonly name: string;
    constructor(name: string) {
      this.name = name;
      metrics.add(name);
    }
    add(n: number): void {
      if (this.name === 'roomcast_latency') figures.latenciesMs.push(n);
      else figures.add(this.name, n);
    }
  }
  const modules = {
    k6: {
      check: (value: unknown, tests: Record<string, (value: unknown) => boolean>) => {
        for (const [name, test] of Object.entries(tests)) verdicts.push([name, test(value)]);
      },
    },
    'k6/metrics': { Counter: Metric, Trend: Metric },
    'k6/timers': { clearInterval, setInterval, setTimeout },
    'k6/websockets': {
      // Called with `new`, and what a constructor returns is then the object.
      WebSocket: function open(url: string, protocol: string) {
        const socket = checkedSocket(url, protocol, faults);
        sockets.push(socket);
        return socket;
      },
    },
  };
  const world = { __ENV: { URL: node.url, CLIENTS: '4', ROOMS: '2', RATE: '20', SECONDS: '1' }, __VU: 0 };
  Object.assign(globalThis, world, { k6Modules: modules });
  onTestFinished(() => {
    for (const name of [...Object.keys(world), 'k6Modules']) Reflect.deleteProperty(globalThis, name);
  });
  const source = readFileSync(`${TOOLS}/k6.js`, 'utf8')
    .replaceAll(/^import (\{.*\}) from '(k6[^']*)';$/gm, 'const $1 = globalThis.k6Modules["$2"];')
    .replace("'./room-check.mjs'", `'${pathToFileURL(`${TOOLS}/room-check.mjs`).href}'`);
  const script = (await import(`data:text/javascript,${encodeURIComponent(source)}`)) as {
    default: () => void;
    options: { thresholds: Record<string, string[]> };
  };
  for (let vu = 1; vu <= 4; vu++) {
    Object.assign(globalThis, { __VU: vu });
    script.default();
  }
  await Promise.all(sockets.map(settled));

  expect(faults).toEqual([]);
  expect(verdicts.filter(([, passed]) => !passed)).toEqual([]);
  expect(verdicts).toHaveLength(4 * 4);
  expect(figures.of('roomcast_acknowledged')).toBeGreaterThan(20);
  // Two members in each room: every message is delivered twice.
  expect(figures.of('roomcast_messages')).toBe(2 * figures.of('roomcast_own'));
  expect(figures.of('roomcast_missing') + figures.of('roomcast_refused')).toBe(0);
  expect(figures.latenciesMs).toHaveLength(figures.of('roomcast_messages'));
  expect(Object.keys(script.options.thresholds).filter((name) => !metrics.has(name))).toEqual(['checks']);
});

interface Send {
  readonly payload?: object;
  readonly match?: { readonly json: string; readonly value: string };
}

type Step =
  | { readonly function: 'follow' | 'stamp' }
  | { readonly send: Send }
  | { readonly loop: readonly Step[]; readonly count: number }
  | { readonly think: number };

interface ArtilleryScript {
  readonly config: {
    readonly ws: { readonly subprotocols: string[] };
    readonly ensure: {
      readonly thresholds: readonly Record<string, number>[];
      readonly conditions: readonly { readonly expression: string }[];
    };
  };
  readonly scenarios: readonly [{ readonly engine: string; readonly flow: readonly Step[] }];
}

it('the Artillery scenario talks the protocol, counts every message, and judges by metrics that it has', async () => {
  const node = await nodeForTest({});
  const { config, scenarios } = parse(readFileSync(`${TOOLS}/artillery.yml`, 'utf8')) as ArtilleryScript;
  const figures = new Figures();
  const events = new EventEmitter();
  events.on('counter', (name: string, n: number) => figures.add(name, n));
  events.on('histogram', (name: string, ms: number) => {
    figures.add(name, 0);
    figures.latenciesMs.push(ms);
  });
  expect(scenarios[0].engine).toBe('ws');

  const vars: Record<string, unknown> = {};
  const faults: string[] = [];
  const ws = checkedSocket(node.url, config.ws.subprotocols, faults);
  await new Promise((resolve) => ws.once('open', resolve));
  const filled = (frame: object): string =>
    JSON.stringify(frame).replaceAll(/\{\{ (\S+) \}\}/g, (_, name: string) => String(vars[name]));

  async function take(step: Step): Promise<void> {
    if ('function' in step) {
      const run = { follow, stamp }[step.function];
      await new Promise<void>((done) => run({ vars, ws }, events, done));
    } else if ('loop' in step) {
      for (vars['$loopCount'] = 1; Number(vars['$loopCount']) <= step.count; ) {
        for (const inner of step.loop) await take(inner);
        vars['$loopCount'] = Number(vars['$loopCount']) + 1;
      }
    } else if ('think' in step) {
      await delay(step.think * 20);
    } else {
      const { payload = step.send, match } = step.send;
      const answered =
        match &&
        new Promise<string>((answer) => ws.once('message', (text: Buffer) => answer(text.toString())));
      ws.send(filled(payload));
      if (match) expect(JSON.parse((await answered) ?? '')).toHaveProperty(match.json.slice(2), match.value);
    }
  }
  for (const step of scenarios[0].flow) await take(step);
  ws.close();
  await settled(ws);

  expect(faults).toEqual([]);
  expect(figures.of('roomcast.published')).toBe(20);
  expect(figures.of('roomcast.acknowledged')).toBe(20);
  expect(figures.of('roomcast.own')).toBe(20);
  expect(figures.latenciesMs).toHaveLength(20);
  expect(figures.of('roomcast.missing') + figures.of('roomcast.refused')).toBe(0);
  const judged = [
    ...config.ensure.conditions.flatMap(({ expression }) => expression.match(/roomcast\.\w+/g) ?? []),
    ...config.ensure.thresholds
      .flatMap((limit) => Object.keys(limit))
      .map((name) => name.replace(/\.p\d+$/, '')),
  ];
  expect(judged.filter((name) => !figures.counts.has(name))).toEqual([]);
});
