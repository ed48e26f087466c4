/**
 * Completes package-lock.json after `npm install`. A registry that does not
 * serve the binaries of every platform makes npm 11 leave those optional
 * packages out of the lockfile, and `npm ci` then refuses the lockfile it was
 * given (npm/cli issue 9846). Their exact versions stand in the package that
 * asks for them, so they are written back from there, without an integrity
 * hash because nobody here has seen the file. It also refuses a lockfile that
 * names a registry other than the public one.
 *
 * usage: node scripts/lockfile.mjs [--check]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OS = [
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
];
const CPU = ['arm64', 'arm', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64'];
const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;
const PUBLIC_REGISTRY = 'https://registry.npmjs.org/';

/** The platform in a name such as `@scope/binding-linux-arm64-musl`, or undefined. */
export function platformOf(name) {
  const words = name.split(/[/-]/);
  const os = OS.find((known) => words.includes(known));
  const cpu = CPU.find((known) => words.includes(known));
  if (os === undefined || cpu === undefined) return undefined;
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : undefined;
  return { os, cpu, libc };
}

/** Whether `name` resolves from the package at `from`, as Node looks it up: folder by folder towards the root. */
function isLocked(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (packages[at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`] !== undefined)
      return true;
    if (at === '') return false;
  }
}

/** The lockfile entries that are wanted by an optional dependency and absent. */
export function missingEntries(packages) {
  const missing = {};
  for (const [from, parent] of Object.entries(packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const platform = platformOf(name);
      if (isLocked(packages, from, name) || platform === undefined || !EXACT.test(version)) continue;
      const { os, cpu, libc } = platform;
      missing[`node_modules/${name}`] = {
        version,
        cpu: [cpu],
        ...(parent.dev ? { dev: true } : {}),
        ...(libc ? { libc: [libc] } : {}),
        optional: true,
        os: [os],
      };
    }
  }
  return missing;
}

function main() {
  const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const lock = JSON.parse(readFileSync(path, 'utf8'));
  const foreign = Object.entries(lock.packages).filter(
    ([, entry]) => entry.resolved !== undefined && !entry.resolved.startsWith(PUBLIC_REGISTRY),
  );
  for (const [name, entry] of foreign) console.error(`lockfile: ${name} comes from ${entry.resolved}`);
  const missing = missingEntries(lock.packages);
  const names = Object.keys(missing);
  if (process.argv.includes('--check')) {
    for (const name of names) console.error(`lockfile: ${name} is missing; run node scripts/lockfile.mjs`);
    process.exitCode = foreign.length + names.length === 0 ? 0 : 1;
    return;
  }
  const root = lock.packages[''];
  const rest = { ...lock.packages, ...missing };
  delete rest[''];
  lock.packages = {
    '': root,
    ...Object.fromEntries(Object.entries(rest).sort(([a], [b]) => a.localeCompare(b, 'en'))),
  };
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`lockfile: ${names.length} platform packages added`);
  process.exitCode = foreign.length === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
