/**
 * The rules of CONTRIBUTING that are about words in a file, which neither the
 * linter nor the import rules can express. Each rule names the files it binds
 * and what to do instead; adding one here is all it takes to have it checked.
 *
 * usage: node scripts/texts.mjs [folder that holds src/]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './install.mjs';

const SEARCHED = ['src', 'test', 'bench', 'scripts', 'examples'];
const SOURCE = /\.(ts|mjs|cjs|lua)$/;
const VAGUE = /^(utils?|helpers?|common|types|managers?|misc|shared)$|(-|^)(utils?|helpers?|manager)$/;
// Written with brackets, or this file would break its own rules. A table may keep its own layout, so
// the formatter alone can be told to pass over something.
const SILENCERS = /(oxlint|eslint)[-]disable|@ts[-](ignore|nocheck)/;
const DEBT = /\b(TO[D]O|FIX[M]E|XX[X])\b/;

/** Blanks out comments and keeps the line numbers. A `//` inside a string is cut too, which only hides text. */
const withoutComments = (text) =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/(^|\s)\/\/.*$/gm, '$1');

/** binds: which paths; finds: what is wrong there; in: "code" leaves comments out, "text" does not. */
const LINE_RULES = [
  {
    name: 'clock',
    binds: (path) => path.startsWith('src/') && !path.startsWith('src/ops/'),
    in: 'code',
    finds: /\bnew Date\(\s*\)/,
    instead: 'take a Clock (src/core/clock.ts)',
  },
  {
    name: 'redis-keys',
    binds: (path) => path.startsWith('src/') && path !== 'src/broker/redis/keys.ts' && path.endsWith('.ts'),
    in: 'code',
    finds: /\{rc(\$\{|\d|N)/,
    instead: 'build keys in src/broker/redis/keys.ts',
  },
  {
    name: 'silenced',
    binds: () => true,
    in: 'text',
    finds: SILENCERS,
    instead: 'repair what the rule points at',
  },
  { name: 'debt', binds: () => true, in: 'text', finds: DEBT, instead: 'do it, or open an issue' },
];

function filesUnder(root, folder) {
  const path = join(root, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    // What was installed is other people's.
    if (entry.name === 'node_modules') return [];
    if (entry.isDirectory()) return filesUnder(root, name);
    return SOURCE.test(name) ? [name] : [];
  });
}

/** The complaints about one file, as lines of text. */
export function complaints(path, text) {
  const found = [];
  if (VAGUE.test(basename(path).replace(/\..*$/, ''))) found.push(`${path}: name: name the file by its idea`);
  if (path.startsWith('src/') && path.endsWith('.ts') && !/^(#!.*\n)?\/(\*\*|\/)/.test(text)) {
    found.push(`${path}:1: header: open with what this is, why it exists and what it leaves to others`);
  }
  if (path.startsWith('src/') && path.endsWith('.lua') && !text.startsWith('#!lua')) {
    found.push(`${path}:1: header: a script opens with #!lua and its header`);
  }
  const views = { text: text.split('\n'), code: withoutComments(text).split('\n') };
  for (const rule of LINE_RULES.filter((candidate) => candidate.binds(path))) {
    for (const [index, line] of views[rule.in].entries()) {
      if (rule.finds.test(line)) found.push(`${path}:${index + 1}: ${rule.name}: ${rule.instead}`);
    }
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(process.argv[2] ?? ROOT);
  const files = SEARCHED.flatMap((folder) => filesUnder(root, folder));
  const found = files.flatMap((path) => complaints(path, readFileSync(join(root, path), 'utf8')));
  for (const line of found) console.log(line);
  console.log(`${files.length} files, ${found.length} complaints`);
  process.exitCode = files.length > 0 && found.length === 0 ? 0 : 1;
}
