/**
 * Checks the import rules of .dependency-cruiser.cjs. It calls the library
 * instead of its command because the command reports success when it cruised
 * nothing, which is what happens when it meets a TypeScript it cannot load:
 * here, not to have seen every source file is a failure of its own.
 *
 * usage: node scripts/layers.mjs [folder that holds src/]
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { ROOT } from './install.mjs';

const CRUISED = ['src', 'test', 'bench'];

function typescriptFiles(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter(
      (entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'),
    )
    .map((entry) => join(entry.parentPath, entry.name));
}

const root = resolve(process.argv[2] ?? ROOT);
const folders = CRUISED.filter((name) => existsSync(join(root, name)));
// Read and loaded before the folder changes: both belong to this project, not to the tree under test.
const rules = createRequire(import.meta.url)('../.dependency-cruiser.cjs');
const { cruise } = await import('dependency-cruiser');
process.chdir(root);

const expected = folders.flatMap((name) => typescriptFiles(name));
const { output } = await cruise(folders.length > 0 ? folders : ['src'], {
  ...rules.options,
  ruleSet: { forbidden: rules.forbidden },
  validate: true,
});
const cruised = new Set(output.modules.map((module) => module.source));
const unseen = expected.filter((path) => !cruised.has(path.replaceAll('\\', '/')));

for (const { rule, from, to, cycle } of output.summary.violations) {
  const path = cycle ? cycle.map((step) => step.name).join(' -> ') : to;
  console.log(`${rule.name}: ${from} -> ${path}`);
}
for (const path of unseen) console.log(`unseen: ${path}`);
console.log(`${expected.length} modules, ${output.summary.violations.length} violations`);
if (expected.length === 0 || unseen.length > 0 || output.summary.violations.length > 0) process.exitCode = 1;
