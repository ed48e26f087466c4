/**
 * The three questions a proxy, an orchestrator and a person ask: is the process
 * alive, should it get new connections, how is it.
 *
 * `/ready` says 404 and never 5xx: HAProxy takes a 404 as "no new connections,
 * keep the old ones" and a 5xx as "dead, cut every tunnel", and a blip of Redis
 * must not cut every connection of the fleet. docs/HTTP.md.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';

export interface HealthSource {
  readonly ready: () => boolean;
  readonly health: () => Health;
}

const HealthSchema = Type.Object({
  node: Type.String(),
  version: Type.String(),
  uptime_s: Type.Number(),
  ready: Type.Boolean(),
  redis_status: Type.Enum(['connected', 'down', 'disabled']),
  redis_latency_ms: Type.Optional(Type.Number()),
  connections: Type.Integer(),
  rooms: Type.Integer(),
  event_loop_lag_ms: Type.Object({ p50: Type.Number(), p99: Type.Number(), max: Type.Number() }),
});

export type Health = Type.Static<typeof HealthSchema>;

const StateSchema = Type.Object({ status: Type.String() });

export function healthRoutes(app: FastifyInstance, source: HealthSource): void {
  app.get('/live', { schema: { response: { 200: StateSchema } } }, () => ({ status: 'alive' }));
  app.get('/ready', { schema: { response: { 200: StateSchema, 404: StateSchema } } }, (_request, reply) =>
    source.ready() ? { status: 'ready' } : reply.code(404).send({ status: 'not ready' }),
  );
  app.get('/health', { schema: { response: { 200: HealthSchema } } }, () => source.health());
}
