/**
 * `npm run docs`: writes the parts of docs/ that the code already knows, so that
 * nobody keeps them by hand. `--check` writes nothing and fails where a file
 * is not what would be written.
 *
 * Adding one? A row in GENERATORS: {file, build}, where `build` resolves to
 * the whole text of the file. What is only a part of a written page is put
 * between two marker lines with `section`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureBuilt } from './build.mjs';
import { ensureInstalled, ROOT } from './install.mjs';

/** A module of the build; generators read the code as it runs, not as it is written. */
const built = (path) => import(pathToFileURL(join(ROOT, 'dist', path)).href);

/** Generated files obey the same formatter as written ones, else `npm run check` refuses them. */
function formatted(file, text) {
  const biome = join(ROOT, 'node_modules/@biomejs/biome/bin/biome');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [biome, 'format', `--stdin-file-path=${file}`],
    { cwd: ROOT, input: text, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(`biome cannot format ${file}: ${stderr}`);
  return stdout;
}

/** The text of `file` with `body` between `<!-- name:begin -->` and `<!-- name:end -->`. */
function section(file, name, body) {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const begin = `<!-- ${name}:begin -->\n`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1) throw new Error(`${file} has no lines "${begin.trim()}" and "${end}"`);
  return `${text.slice(0, from + begin.length)}${body.trimEnd()}\n${text.slice(to)}`;
}

const GENERATORS = [
  {
    file: 'docs/OPERATIONS.md',
    build: async () => {
      const { configTable } = await built('config-docs.js');
      return section('docs/OPERATIONS.md', 'config', `\n${configTable()}\n`);
    },
  },
  {
    file: 'docs/protocol.schema.json',
    build: async () => {
      const { protocolSchema } = await built('protocol/json-schema.js');
      return formatted('docs/protocol.schema.json', JSON.stringify(protocolSchema(), null, 2));
    },
  },
];

/** Files that are not what their generator makes; they are written unless `checkOnly`. */
async function generate(checkOnly) {
  const stale = [];
  for (const { file, build } of GENERATORS) {
    const path = join(ROOT, file);
    const text = await build();
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    stale.push(file);
    if (!checkOnly) writeFileSync(path, text);
  }
  return stale;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const checkOnly = process.argv.includes('--check');
  ensureInstalled();
  if (ensureBuilt()) {
    const stale = await generate(checkOnly);
    for (const file of stale) console.log(checkOnly ? `${file} is stale: run npm run docs` : `wrote ${file}`);
    process.exitCode = checkOnly && stale.length > 0 ? 1 : 0;
  } else {
    process.exitCode = 1;
  }
}
