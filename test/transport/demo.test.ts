/** The demo page and the client library over HTTP: what is served, what it may do, and that it can be switched off. */
import { describe, expect, test } from 'vitest';
import { LocalServer } from '../support/local-server.ts';

const PAGE = ['/', '/demo/demo.js', '/demo/demo-style.css', '/demo/icon.svg'];

describe('the demo page', () => {
  test('comes with all it needs, from this node alone', async () => {
    const { http } = await LocalServer.forTest();
    const types: (string | null)[] = [];
    for (const path of PAGE) {
      const answer = await fetch(http + path);
      expect(answer.status, path).toBe(200);
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
      types.push(answer.headers.get('content-type'));
      const text = await answer.text();
      // An address of a namespace is a name; everything else would be asked for.
      const addresses = text.match(/(https?:)?\/\/[a-z0-9.-]+\.[a-z]{2,}[^"'`)\s]*/gi) ?? [];
      expect(
        addresses.filter((address) => !address.includes('//www.w3.org/')),
        path,
      ).toEqual([]);
    }
    expect(types).toEqual([
      'text/html; charset=utf-8',
      'text/javascript; charset=utf-8',
      'text/css; charset=utf-8',
      'image/svg+xml',
    ]);
  });

  test('may run its own script and talk to this node, and nothing else', async () => {
    const { http } = await LocalServer.forTest();
    const answer = await fetch(http);
    const policy = Object.fromEntries(
      (answer.headers.get('content-security-policy') ?? '').split('; ').map((part) => {
        const [name = '', ...values] = part.split(' ');
        return [name, values.join(' ')];
      }),
    );
    expect(policy).toEqual({
      'default-src': "'none'",
      'script-src': "'self'",
      'style-src': "'self'",
      'img-src': "'self'",
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      'require-trusted-types-for': "'script'",
      'trusted-types': "'none'",
    });
    const page = await answer.text();
    expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|<style/);
  });

  test('is asked for again at each visit, and told in no bytes that it is still the same', async () => {
    const { http } = await LocalServer.forTest();
    const first = await fetch(http);
    const etag = first.headers.get('etag') ?? '';
    expect(first.headers.get('cache-control')).toBe('no-cache');
    const second = await fetch(http, { headers: { 'if-none-match': etag } });
    expect([second.status, await second.text()]).toEqual([304, '']);
    const other = await fetch(http, { headers: { 'if-none-match': '"other"' } });
    expect(other.status).toBe(200);
  });

  test('is gone with DEMO=off, and so is the library', async () => {
    const { http } = await LocalServer.forTest({ DEMO: 'off' });
    for (const path of [...PAGE, '/roomcast.js']) {
      const answer = await fetch(http + path);
      expect(answer.status, path).toBe(404);
      expect(await answer.json()).toEqual({ error: `there is no GET ${path}; try /health` });
    }
  });
});

test('the client library is one module that any page may import', async () => {
  const { http } = await LocalServer.forTest();
  const answer = await fetch(`${http}/roomcast.js`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
  const library = (await import(`data:text/javascript,${encodeURIComponent(await answer.text())}`)) as object;
  expect(Object.keys(library)).toContain('connect');
});
