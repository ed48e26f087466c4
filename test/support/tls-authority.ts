/** An authority of a test's own and a certificate signed by it, as an operator makes them with openssl. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificates {
  /** What a client has to trust. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

/** Paths of files in `dir`, for a server on loopback. */
export function makeCertificates(dir: string): Certificates {
  const file = (name: string) => join(dir, name);
  const [ca, caKey, cert, key] = [file('ca.pem'), file('ca.key'), file('cert.pem'), file('cert.key')];
  const [request, names] = [file('cert.csr'), file('names.cnf')];
  writeFileSync(names, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl('req', '-x509', ...KEY, '-days', '2', '-subj', '/CN=test authority', '-keyout', caKey, '-out', ca);
  openssl('req', ...KEY, '-subj', '/CN=localhost', '-keyout', key, '-out', request);
  const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', names];
  openssl('x509', '-req', '-in', request, ...signing, '-out', cert);
  return { ca, cert, key };
}

function openssl(...args: string[]): void {
  const program = process.env['OPENSSL_BIN'] ?? 'openssl';
  try {
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    throw new Error(`${program} ${args[0] ?? ''} failed; it is needed to make certificates`, {
      cause: error,
    });
  }
}
