/**
 * The rules of the code hold, and each of them bites: a rule that nothing can
 * break would pass every review. The mistakes are written into a temporary
 * tree, all of a kind together, because starting a check costs more than what
 * it checks.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const HEADER = '/** A file of a test. */\n';

interface Outcome {
  readonly code: number;
  readonly output: string;
}

const trees: string[] = [];

afterAll(() => {
  for (const tree of trees) rmSync(tree, { recursive: true, force: true });
});

/** Writes `files` (path and text; a path may come twice) below a new temporary folder and returns the folder. */
function treeOf(...files: readonly (readonly [path: string, text: string])[]): string {
  const tree = mkdtempSync(join(tmpdir(), 'roomcast-tree-'));
  trees.push(tree);
  mkdirSync(join(tree, 'src'));
  const texts = new Map<string, string>();
  for (const [path, text] of files) texts.set(path, (texts.get(path) ?? '') + text);
  for (const [path, text] of texts) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  return tree;
}

function run(args: readonly string[], cwd = ROOT): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr });
    });
  });
}

const layers = (tree: string) => run([join(ROOT, 'scripts/layers.mjs'), tree]);
const words = (tree: string) => run([join(ROOT, 'scripts/texts.mjs'), tree]);

function lint(tree: string): Promise<Outcome> {
  // The configuration is copied because its patterns are relative to where it lies.
  copyFileSync(join(ROOT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  return run([join(ROOT, 'node_modules/oxlint/bin/oxlint'), '-f', 'unix', 'src'], tree);
}

describe('this source tree', () => {
  test('obeys the import rules', async () => {
    const { code, output } = await layers(ROOT);
    expect(output).toMatch(/^[1-9]\d* modules, 0 violations$/m);
    expect(code).toBe(0);
  });

  test('obeys the rules about words', async () => {
    const { code, output } = await words(ROOT);
    expect(output).toMatch(/^[1-9]\d* files, 0 complaints$/m);
    expect(code).toBe(0);
  });
});

describe('the import rules', () => {
  const importing = (from: string, to: string) => {
    const path = to.includes('.') ? '../'.repeat(from.split('/').length - 1) + to : to;
    return [from, `import '${path}';\n`] as const;
  };

  test('accept arrows that point down, and packages in their homes', async () => {
    const { code, output } = await layers(
      treeOf(
        importing('src/cli/main.ts', 'src/server.ts'),
        importing('src/server.ts', 'src/transport/door.ts'),
        importing('src/server.ts', 'src/broker/redis/redis-broker.ts'),
        importing('src/transport/door.ts', 'src/node/join.ts'),
        importing('src/node/join.ts', 'src/broker/broker.ts'),
        importing('src/broker/redis/redis-broker.ts', 'src/broker/broker.ts'),
        importing('src/broker/broker.ts', 'src/core/hub.ts'),
        importing('src/core/hub.ts', 'src/protocol/codes.ts'),
        ['src/protocol/codes.ts', 'export {};\n'],
        // What is installed in this tree, so that it can be resolved.
        ['node_modules/ws/package.json', '{"name":"ws","version":"1.0.0","main":"ws.js"}'],
        ['node_modules/ws/ws.js', ''],
        ['package.json', '{"name":"tree","version":"1.0.0","dependencies":{"ws":"1.0.0"}}'],
        importing('src/transport/ws-listener.ts', 'ws'),
        importing('src/cli/socket.ts', 'ws'),
      ),
    );
    expect(output).toMatch(/^10 modules, 0 violations$/m);
    expect(code).toBe(0);
  });

  test('refuse a tree in which they saw nothing', async () => {
    const { code, output } = await layers(treeOf());
    expect(output).toMatch(/^0 modules, 0 violations$/m);
    expect(code).toBe(1);
  });

  describe('refuse', () => {
    const mistakes = [
      ['layer-core', 'src/core/hub.ts', 'src/node/join.ts'],
      ['layer-core', 'src/core/hub.ts', 'test/support/fake-clock.ts'],
      ['layer-protocol', 'src/protocol/codes.ts', 'src/core/entry.ts'],
      ['layer-ops', 'src/ops/logger.ts', 'src/core/entry.ts'],
      ['layer-node', 'src/node/join.ts', 'src/broker/redis/keys.ts'],
      ['layer-node', 'src/node/join.ts', 'src/transport/door.ts'],
      ['layer-broker-ports', 'src/broker/broker.ts', 'src/broker/memory/log.ts'],
      ['layer-broker-memory', 'src/broker/memory/log.ts', 'src/broker/redis/keys.ts'],
      ['layer-broker-redis', 'src/broker/redis/keys.ts', 'src/node/leave.ts'],
      ['layer-transport', 'src/transport/door.ts', 'src/server.ts'],
      ['layer-client', 'src/client/room.ts', 'src/core/entry.ts'],
      ['placed', 'src/attic/old.ts', 'src/core/entry.ts'],
      ['home-ws', 'src/node/join.ts', 'ws'],
      ['home-ws', 'src/transport/door.ts', 'ws'],
      ['home-ioredis', 'src/node/join.ts', 'ioredis'],
      ['home-ioredis', 'src/broker/broker.ts', 'ioredis'],
      ['home-commander', 'src/server.ts', 'commander'],
      ['no-node-modules-in-pure-layers', 'src/protocol/codes.ts', 'node:fs'],
      ['no-node-modules-in-pure-layers', 'src/core/hub.ts', 'node:buffer'],
      ['no-node-modules-in-pure-layers', 'src/client/room.ts', 'node:events'],
      ['no-packages-in-pure-layers', 'src/core/hub.ts', 'typescript'],
    ] as const;
    let outcome: Outcome;

    beforeAll(async () => {
      const targets = mistakes
        .filter(([, , to]) => to.includes('.'))
        .map(([, , to]) => [to, 'export {};\n'] as const);
      const imports = mistakes.map(([, from, to]) => importing(from, to));
      const cycle = [
        ['src/core/frame.ts', `import type { B } from './session.ts';\nexport interface A { b: B }\n`],
        ['src/core/session.ts', `import type { A } from './frame.ts';\nexport interface B { a: A }\n`],
        ['src/protocol/limits.ts', `import type { A } from '../core/frame.ts';\nexport type C = A;\n`],
      ] as const;
      const installed = ['ws', 'ioredis', 'commander', 'typescript'].flatMap((name) => [
        [`node_modules/${name}/package.json`, `{"name":"${name}","version":"1.0.0","main":"x.js"}`] as const,
        [`node_modules/${name}/x.js`, ''] as const,
      ]);
      outcome = await layers(treeOf(...targets, ...imports, ...cycle, ...installed));
    });

    test.each(mistakes)('%s: %s -> %s', (rule, from, to) => {
      const target = to.includes('.') ? to : `(node_modules/)?${to.replace('node:', '(node:)?')}`;
      expect(outcome.output).toMatch(new RegExp(`^${rule}: ${from} -> ${target}`, 'm'));
      expect(outcome.code).toBe(1);
    });

    test('a cycle of nothing but type imports', () => {
      expect(outcome.output).toMatch(/^no-cycles: src\/core\/(frame|session)[.]ts -> /m);
    });

    test('a type import that points up', () => {
      expect(outcome.output).toContain('layer-protocol: src/protocol/limits.ts -> src/core/frame.ts\n');
    });
  });
});

describe('the rules about words notice', () => {
  const mistakes = [
    ['clock', 'src/core/hub.ts', `${HEADER}export const born = new Date();\n`],
    ['redis-keys', 'src/node/join.ts', `${HEADER}export const key = (n: number) => \`rc:{rc\${n}}:meta\`;\n`],
    ['silenced', 'src/node/leave.ts', `${HEADER}// @ts-${'ignore'}\n`],
    ['silenced', 'test/leave.test.ts', `// oxlint-${'disable'}-next-line\n`],
    ['debt', 'src/node/send.ts', `${HEADER}// ${'TO'}DO: later\n`],
    ['name', 'src/core/utils.ts', HEADER],
    ['name', 'src/node/room-manager.ts', HEADER],
    ['header', 'src/node/drain.ts', 'export {};\n'],
    ['header', 'src/broker/redis/lua/publish.lua', 'return 1\n'],
  ] as const;
  let outcome: Outcome;

  beforeAll(async () => {
    outcome = await words(treeOf(...mistakes.map(([, path, text]) => [path, text] as const)));
  });

  test.each(mistakes)('%s in %s', (rule, path) => {
    expect(outcome.output).toMatch(new RegExp(`^${path}(:\\d+)?: ${rule}: `, 'm'));
    expect(outcome.code).toBe(1);
  });

  test('nothing else', () => {
    expect(outcome.output).toContain(`${mistakes.length} files, ${mistakes.length} complaints`);
  });
});

describe('the linter', () => {
  const mistakes = [
    ['no-process-env', 'environment', 'export const port = process.env.PORT;'],
    ['no-restricted-properties', 'now', 'export const now = Date.now();'],
    ['no-restricted-properties', 'chance', 'export const chance = Math.random();'],
    ['no-restricted-globals', 'timeout', 'setTimeout(() => {}, 1);'],
    ['no-restricted-globals', 'interval', 'setInterval(() => {}, 1);'],
    [
      'no-restricted-imports',
      'wait',
      `import { setTimeout } from 'node:timers/promises';\nawait setTimeout(1);`,
    ],
    [
      'no-restricted-imports',
      'id',
      `import { randomUUID } from 'node:crypto';\nexport const id = randomUUID();`,
    ],
    ['no-explicit-any', 'anything', 'export const anything: any = 1;'],
    ['eqeqeq', 'same', 'export const same = (a: number, b: number) => a == b;'],
    ['no-unused-vars', 'unused', 'const unused = 1;'],
  ] as const;
  let outcome: Outcome;

  beforeAll(async () => {
    outcome = await lint(
      treeOf(...mistakes.map(([, name, text]) => [`src/node/${name}.ts`, `${text}\n`] as const)),
    );
  });

  test.each(mistakes)('enforces %s (%s)', (rule, name) => {
    expect(outcome.output).toMatch(new RegExp(`src/node/${name}[.]ts:.*${rule}`));
    expect(outcome.code).toBe(1);
  });

  test('leaves the environment to the configuration, and time and chance to ops', async () => {
    const { code, output } = await lint(
      treeOf(
        ['src/config.ts', 'export const port = process.env.PORT;\n'],
        [
          'src/ops/system-clock.ts',
          'export const now = () => Date.now() + Math.random();\nsetTimeout(now, 1);\n',
        ],
      ),
    );
    expect(output).not.toContain('src/');
    expect(code).toBe(0);
  });
});

test('a promise that nobody waits for is refused', async () => {
  const tree = treeOf(
    ['src/node/join.ts', 'async function work(): Promise<void> {}\nwork();\n'],
    [
      'tsconfig.json',
      '{"compilerOptions":{"strict":true,"target":"es2023","module":"nodenext"},"include":["src"]}',
    ],
  );
  copyFileSync(join(ROOT, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint');
  const { code, output } = await run([oxlint, '--type-aware', '-f', 'unix', 'src'], tree);
  expect(output).toContain('no-floating-promises');
  expect(code).toBe(1);
});
