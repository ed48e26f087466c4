/**
 * The pages of src/admin/ as browsers load them: per page one script and one
 * style sheet, bundled and minified beside its index.html and its pictures.
 * A page needs neither a framework nor anything that the node does not serve.
 */
import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** What the browsers of the last years understand; the server's CSP and WebSocket ask for no older ones. */
const TARGET = 'es2022';
const STATIC = /\.(html|svg)$/;

/** Writes `<out>/admin/<page>/`. Returns whether it succeeded; what esbuild says goes to stderr. */
export function bundlePages(root, out) {
  const pages = join(root, 'src/admin');
  if (!existsSync(pages)) return true;
  // Not at the top: the build is imported before anything is installed.
  const { buildSync } = createRequire(import.meta.url)('esbuild');
  const folders = readdirSync(pages, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name: page } of folders) {
    const from = join(pages, page);
    const to = join(out, 'admin', page);
    mkdirSync(to, { recursive: true });
    try {
      buildSync({
        absWorkingDir: root,
        entryPoints: { [page]: join(from, 'main.ts'), [`${page}-style`]: join(from, 'style/index.css') },
        outdir: to,
        bundle: true,
        minify: true,
        format: 'iife',
        target: TARGET,
        legalComments: 'none',
        logLevel: 'warning',
        tsconfigRaw: {},
      });
    } catch {
      // It has printed what is wrong and where.
      return false;
    }
    for (const name of readdirSync(from).filter((file) => STATIC.test(file)))
      cpSync(join(from, name), join(to, name));
  }
  return true;
}
