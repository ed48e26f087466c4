/** The public API: a server to start inside another program. Clients are in `roomcast/client`, the command line in `roomcast`. */
export { type Config, ConfigError, loadConfig } from './config.ts';
export type { Logger } from './core/logger.ts';
export { createServer, type Server, type ServerOptions } from './server.ts';
