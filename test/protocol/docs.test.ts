/** docs/PROTOCOL.md is what client authors have instead of us: nothing in it may be untrue of the schemas and tables. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { CLOSE, CLOSES, ERRORS, type ErrorCode } from '../../src/protocol/codes.ts';
import * as limits from '../../src/protocol/limits.ts';
import { CLIENT_FRAMES, SERVER_FRAMES } from '../../src/protocol/messages.ts';
import { parseText } from '../../src/protocol/parse.ts';
import { clientFrameFault, serverFrameFault, serverFrameNames } from '../support/frame-schemas.ts';

const page = readFileSync('docs/PROTOCOL.md', 'utf8');

interface Section {
  readonly title: string;
  readonly text: string;
}

/** The parts of the page between headings of any level. */
const sections: readonly Section[] = page
  .split(/^(?=#{2,3} )/m)
  .map((text) => ({ title: /^#+ (.*)$/m.exec(text)?.[1] ?? '', text }));

function sectionOf(title: string): string {
  const found = sections.filter((one) => one.title === title);
  expect(found, `sections called ${title}`).toHaveLength(1);
  return found[0]?.text ?? '';
}

const blocks = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    (match) => match[1] ?? '',
  );

/** Rows of all tables of a text, cells trimmed and without backticks; headings and rulers left out. */
function rows(text: string): readonly (readonly string[])[] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  const cells = lines.map((line) =>
    line
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
  return cells.filter((row, at) => !/^-+$/.test(row[0] ?? '') && !/^-+$/.test(cells[at + 1]?.[0] ?? ''));
}

const schemas: Readonly<Record<string, object>> = {
  ...Object.fromEntries(Object.entries(CLIENT_FRAMES).map(([name, schema]) => [`client.${name}`, schema])),
  ...Object.fromEntries(Object.entries(SERVER_FRAMES).map(([name, schema]) => [`server.${name}`, schema])),
};

const frameSections = sections.flatMap(({ title, text }) => {
  const name = /^<!-- frame: (\S+) -->$/m.exec(text)?.[1];
  return name === undefined ? [] : [{ name, title, text }];
});

describe('the sections of frames', () => {
  test('are one for each frame, and none for anything else', () => {
    expect(frameSections.map(({ name }) => name).sort()).toEqual(Object.keys(schemas).sort());
  });

  test.each(frameSections)('$name has a table of exactly its fields', ({ name, text }) => {
    const schema = schemas[name] as { properties: Record<string, unknown>; required: readonly string[] };
    const table = rows(text.split(/^```/m)[0] ?? '');
    const written = new Map(table.map(([field, needed]) => [field, needed]));
    const fields = Object.keys(schema.properties).filter((field) => field !== 'type');
    expect(new Set(written.keys())).toEqual(new Set(fields));
    expect(table).toHaveLength(fields.length);
    for (const field of fields)
      expect(written.get(field), field).toBe(schema.required.includes(field) ? 'yes' : 'no');
  });

  test.each(frameSections)('$name has examples, each of them that frame', ({ name, text }) => {
    const examples = blocks(text, 'json').map((example): unknown => JSON.parse(example));
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      if (name.startsWith('client.')) {
        expect(clientFrameFault(example)).toBeUndefined();
        expect(`client.${(example as { type: string }).type}`).toBe(name);
      } else {
        expect(
          serverFrameNames(example).map((one) => `server.${one}`),
          serverFrameFault(example),
        ).toEqual([name]);
      }
    }
  });

  test('hold all of the JSON examples of the page', () => {
    const inSections = frameSections.flatMap(({ text }) => blocks(text, 'json'));
    expect(blocks(page, 'json')).toHaveLength(inSections.length);
  });

  test('name only errors and closes that exist', () => {
    for (const { title, text } of frameSections) {
      const told = /^.*?\bErrors?: (.*)$/m.exec(text)?.[1] ?? '';
      for (const [, code] of told
        .split('Closes:')[0]
        ?.matchAll(/`([a-z]+_[a-z]+|forbidden|internal|unavailable|unauthorized)`/g) ?? []) {
        expect(Object.keys(ERRORS), title).toContain(code);
      }
    }
  });
});

const sessions = sections
  .map(({ title, text }) => ({
    title,
    lines: [...blocks(text, 'session'), ...blocks(text, 'session-shown')].flatMap((block) =>
      block.trim().split('\n'),
    ),
  }))
  .filter(({ lines }) => lines.length > 0);

const LINE = /^([a-z0-9-]+) (->|<-) (.+)$/;

describe('the worked sessions', () => {
  test('are twelve, in order', () => {
    expect(sessions.map(({ title }) => Number(title.split('.')[0]))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
    // Played by test/conformance/protocol-page.test.ts: all but the one that needs tokens.
    expect(blocks(page, 'session')).toHaveLength(11);
    expect(blocks(page, 'session-shown')).toHaveLength(2);
  });

  test.each(sessions)('$title: every line is a remark, an event, a close, or a valid frame', ({ lines }) => {
    for (const line of lines) {
      if (/^[#*] /.test(line)) continue;
      const [, , arrow, what = ''] = LINE.exec(line) ?? [];
      const close = /^close (\d{4})$/.exec(what)?.[1];
      if (arrow === '<-' && close) expect(CLOSES[Number(close)], line).toBeDefined();
      else if (arrow === '<-') expect(serverFrameFault(JSON.parse(what)), line).toBeUndefined();
      // The one frame that shows a mistake is refused as the next line says.
      else if (!what.includes('no such')) {
        for (const parsed of parseText(what, { batchMax: 64 })) expect(parsed.error, line).toBeUndefined();
      }
    }
  });

  test.each(sessions)(
    '$title: every request with an id is answered once, to the one who asked',
    ({ lines }) => {
      const asked: string[] = [];
      const answered: string[] = [];
      const endings = new Map<string, number>();
      for (const line of lines) {
        const gone = /^\* (\S+)'s connection breaks$|^(\S+) <- close/.exec(line);
        const name = gone?.[1] ?? gone?.[2];
        if (name !== undefined) endings.set(name, (endings.get(name) ?? 0) + 1);
        const [, from, arrow, what = ''] = LINE.exec(line) ?? [];
        if (from === undefined || what.startsWith('close ')) continue;
        // Ids are of one connection, and a client may have several in turn.
        const who = `${from}/${endings.get(from) ?? 0}`;
        for (const { id } of [JSON.parse(what)].flat() as readonly { id?: string | number }[]) {
          if (id !== undefined) (arrow === '->' ? asked : answered).push(`${who} ${String(id)}`);
        }
      }
      expect([...answered].sort()).toEqual([...asked].sort());
      expect(new Set(asked).size).toBe(asked.length);
    },
  );

  test('show the refusal the parser really gives', () => {
    const lines = sessions[8]?.lines ?? [];
    const at = lines.findIndex((line) => line.includes('no such') && line.includes(' -> '));
    const [parsed] = parseText(LINE.exec(lines[at] ?? '')?.[3] ?? '', { batchMax: 64 });
    const told = JSON.parse(LINE.exec(lines[at + 1] ?? '')?.[3] ?? '');
    expect(told.message).toBe(parsed?.error?.message);
  });

  test('show every error code', () => {
    const told = new Set(
      sessions.flatMap(({ lines }) => lines).flatMap((line) => /"code": "([a-z_]+)"/.exec(line)?.[1] ?? []),
    );
    expect([...told].sort()).toEqual(Object.keys(ERRORS).sort());
  });

  test('say of every error whether it is retryable as the table does', () => {
    for (const line of sessions.flatMap(({ lines }) => lines)) {
      const frame = line.includes('"type": "error"') ? JSON.parse(LINE.exec(line)?.[3] ?? '') : undefined;
      if (frame) expect(frame.retryable, line).toBe(ERRORS[frame.code as ErrorCode].retryable);
    }
  });
});

describe('the tables', () => {
  test('list each error code once, with the right retryable', () => {
    const errors = rows(sectionOf('error (server)')).filter(([, , last]) => last === 'yes' || last === 'no');
    const written = errors.map(([code, , retryable]) => [code, retryable]);
    expect(written).toEqual(
      Object.entries(ERRORS).map(([code, one]) => [code, one.retryable ? 'yes' : 'no']),
    );
  });

  test('list each close code once, with name and reconnect', () => {
    const written = rows(sectionOf('Close codes')).map(([code, name, , reconnect]) => [
      Number(code),
      name,
      reconnect,
    ]);
    expect(written).toEqual(
      Object.values(CLOSE).map((code) => [code, CLOSES[code].name, CLOSES[code].reconnect]),
    );
  });

  test('give the fixed limits as the code has them', () => {
    const fixed = Object.fromEntries(rows(sectionOf('Limits').split('| fixed | value |')[1] ?? ''));
    expect(fixed).toEqual({
      'characters of an id': String(limits.ID_LENGTH_MAX),
      'characters of a key': String(limits.KEY_LENGTH_MAX),
      'characters of a room name': String(limits.ROOM_LENGTH_MAX),
      'characters of a user name': String(limits.USER_LENGTH_MAX),
      'characters of an epoch': String(limits.EPOCH_LENGTH_MAX),
      'characters of a token': String(limits.TOKEN_LENGTH_MAX),
      'characters of client.name and client.version': String(limits.CLIENT_LABEL_LENGTH_MAX),
      'levels of nesting': String(limits.DEPTH_MAX),
    });
  });

  test('name every limit of welcome', () => {
    const { properties } = SERVER_FRAMES.welcome as unknown as {
      properties: { limits: { properties: object } };
    };
    for (const name of Object.keys(properties.limits.properties))
      expect(sectionOf('Limits')).toContain(`limits.${name}`);
  });

  test('every link inside of the page leads to a heading', () => {
    const anchors = new Set(
      [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^\p{L}\p{N} -]/gu, '')
          .replaceAll(' ', '-'),
      ),
    );
    for (const [, target] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(target);
  });
});
