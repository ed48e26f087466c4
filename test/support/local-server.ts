/**
 * A whole server inside the test's own process: the embedded broker, a free
 * port, real sockets. Short timings where waiting for the real ones would only
 * cost time; a test that needs others names them as an operator would.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { createServer, type Server } from '../../src/server.ts';
import type { Health } from '../../src/transport/http/health.ts';
import { createRecordingLogger, type RecordingLogger } from './recording-logger.ts';

const SETTINGS = {
  HOST: '127.0.0.1',
  PORT: '0',
  REDIS_MODE: 'off',
  NODE_NAME: 'local',
  LOG_LEVEL: 'debug',
  CLOSE_TIMEOUT_MS: '300',
  PRESENCE_HOLD_MS: '100',
  PRESENCE_WINDOW_MS: '10',
};

export class LocalServer {
  readonly server: Server;
  readonly logger: RecordingLogger;
  readonly port: number;

  private constructor(server: Server, logger: RecordingLogger, port: number) {
    this.server = server;
    this.logger = logger;
    this.port = port;
  }

  /** `env` as an operator would give it, over the settings above. */
  static async start(env: Record<string, string> = {}): Promise<LocalServer> {
    const { config } = loadConfig({ env: { ...SETTINGS, ...env }, hostname: 'local' });
    const all = createRecordingLogger();
    const logger = config.logLevel === 'debug' ? all : { ...all, debug: () => undefined };
    const server = createServer({ config, logger });
    const { port } = await server.listen();
    return new LocalServer(server, logger, port);
  }

  /** As `start`, and closed with the test. */
  static async forTest(env: Record<string, string> = {}): Promise<LocalServer> {
    const local = await LocalServer.start(env);
    onTestFinished(() => local.close());
    return local;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/ws`;
  }

  get http(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async health(): Promise<Health> {
    // Without an agent: a connection kept alive would be counted where sockets are.
    const request = get(`${this.http}/health`, { agent: false });
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return (await json(answer)) as Health;
  }

  /** Resolves once so many connections have said hello and are not gone. */
  async connections(wanted: number, waitMs = 5000): Promise<void> {
    const until = performance.now() + waitMs;
    for (;;) {
      const { connections } = await this.health();
      if (connections === wanted) return;
      if (performance.now() > until)
        throw new Error(`${connections} connections instead of ${wanted} after ${waitMs} ms`);
    }
  }

  /** Closes the server. What it called an error is a bug, whatever the test looked at. */
  async close(): Promise<void> {
    await this.server.close();
    const [error] = this.logger.lines.filter((line) => line.level === 'error');
    if (error)
      throw new Error(`the server logged an error: ${error.message} ${JSON.stringify(error.fields)}`);
  }
}
