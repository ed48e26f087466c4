/**
 * Makes the SDK's single file for browsers: everything in src/client, minified, in the language of 2020.
 *
 * Private members (`#name`) become ordinary properties with short names. Kept private, that language would
 * need a WeakMap for each of them, which is larger and slower; that nobody else reaches for them is checked
 * by the compiler, in the sources. Classes that are no relatives use the same names for theirs, because what
 * repeats compresses. `INTERNAL` are further names that never meet the application or the wire.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const ENTRY = 'src/client/index.ts';
const TARGET = 'es2020';

/** Members of the SDK's own classes that its parts use among themselves. A test runs the bundle. */
const INTERNAL = [
  'again',
  'answer',
  'ask',
  'asked',
  'begin',
  'bytes',
  'changed',
  'closed',
  'confirm',
  'deadline',
  'disconnected',
  'due',
  'end',
  'endLoops',
  'enqueue',
  'enter',
  'everSent',
  'expire',
  'flush',
  'follow',
  'forget',
  'gone',
  'judge',
  'mark',
  'move',
  'open',
  'opened',
  'outbox',
  'ready',
  'refused',
  'receipt',
  'receive',
  'reject',
  'remove',
  'report',
  'request',
  'resolve',
  'retryAt',
  'review',
  'silence',
  'socket',
  'stream',
  'take',
  'target',
  'value',
  'watch',
];

/** States and verdicts that its parts tell each other, and nobody else: numbers in the bundle. */
const WORDS = ['ended', 'gap', 'new', 'old', 'open', 'seen', 'sent', 'stored', 'void'];

/** As the first step writes them: one line each. */
const NUMBER = /^var ([A-Z_]+\d* = [\d_.e]+;\n)/gm;

/** A class as the first step writes it, at the top of the text. */
const CLASS = /^var (\w+) = class(?: extends (\w+))? \{[^]*?^\};/gm;

/** Private members as `_0`, `_1` and so on: most used first, behind those of the class that is extended. */
function shareNames(text) {
  const taken = new Map();
  return text.replace(CLASS, (body, name, parent) => {
    const counts = new Map();
    for (const [member] of body.matchAll(/#[a-z]\w*/g)) counts.set(member, (counts.get(member) ?? 0) + 1);
    const members = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    const first = taken.get(parent) ?? 0;
    taken.set(name, first + members.length);
    return body.replace(/#[a-z]\w*/g, (member) => `_${first + members.indexOf(member)}`);
  });
}

/** The text of the bundle. Throws where it cannot be made. */
export function bundleClient(root) {
  // Not at the top: this is imported before anything is installed.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  const bundle = (options) =>
    buildSync({ bundle: true, format: 'esm', write: false, logLevel: 'error', ...options }).outputFiles[0]
      .text;
  const all = bundle({ entryPoints: [join(root, ENTRY)], target: 'esnext' });
  // A number with a name is put in the place of its name only where it stands before everything else.
  const numbers = [];
  const rest = all
    .replace(NUMBER, (_line, definition) => {
      numbers.push(`const ${definition}`);
      return '';
    })
    // From 1 on: a word is true.
    .replace(new RegExp(`"(${WORDS.join('|')})"`, 'g'), (_text, word) => String(WORDS.indexOf(word) + 1));
  return bundle({
    // As TypeScript, where a field without a value costs nothing.
    stdin: { contents: numbers.join('') + shareNames(rest), loader: 'ts' },
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    target: TARGET,
    minify: true,
    mangleProps: new RegExp(`^(_.*|${INTERNAL.join('|')})$`),
  });
}
