/** docs/HTTP.md lists the routes there are, and nothing else; so does its example of `/health`. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { systemClock } from '../src/ops/system-clock.ts';
import { demoRoutes } from '../src/transport/http/demo.ts';
import { healthRoutes } from '../src/transport/http/health.ts';
import { createHttp } from '../src/transport/http/http-server.ts';
import { createRecordingLogger } from './support/recording-logger.ts';

const page = readFileSync(new URL('../docs/HTTP.md', import.meta.url), 'utf8');

test('every route is in docs/HTTP.md, and every route there exists', async () => {
  const logger = createRecordingLogger();
  const { app, close } = createHttp({ clock: systemClock, logger, settings: { closeTimeoutMs: 100 } });
  const routes: string[] = [];
  // Fastify adds HEAD to each GET by itself; the routes of createHttp were added before this hook.
  app.addHook('onRoute', ({ method, url }) => {
    if (method !== 'HEAD') routes.push(`${String(method)} ${url}`);
  });
  healthRoutes(app, {
    ready: () => true,
    health: () => {
      throw new Error('not asked');
    },
  });
  // Where nothing was built the routes are there all the same.
  demoRoutes(app, new URL('file:///nothing/was/built/here/'));
  await app.ready();
  const documented = [...page.matchAll(/^\| `([A-Z]+ \/[^`]*)` \|/gm)].map(([, route]) => route ?? '');
  expect(documented.length).toBeGreaterThan(0);
  for (const route of routes) expect(documented).toContain(route);
  for (const route of documented) {
    const [method = '', url = ''] = route.split(' ');
    expect(app.hasRoute({ method, url }), `${route} is documented and does not exist`).toBe(true);
  }
  expect(app.printRoutes({ commonPrefix: false }).match(/\(GET/g)).toHaveLength(documented.length);
  await close();
});
