/**
 * Who may import whom. Arrows point down only:
 *
 *   cli -> server -> transport -> node -> broker ports -> core -> protocol
 *   cli -> client -> protocol
 *   cli -> conformance -> protocol
 *
 * ops imports nothing of ours. Each layer lists what it may reach; whatever is
 * not listed is a violation, so a new folder has to be given a place here
 * before it can be imported. Type imports count: they are how cycles begin.
 * Run by scripts/layers.mjs.
 */

const PROTOCOL = '^src/protocol/';
const CORE = '^src/core/';
const PORTS = '^src/broker/[^/]+$';
const MEMORY = '^src/broker/memory/';
const REDIS = '^src/broker/redis/';
const NODE = '^src/node/';
const TRANSPORT = '^src/transport/';
const OPS = '^src/ops/';
const CLIENT = '^src/client/';
const CONFORMANCE = '^src/conformance/';
const ADMIN = '^src/admin/';
const CONFIG = '^src/config[^/]*[.]ts$';
const SERVER = '^src/(server|index)[.]ts$';
const VERSION = '^src/version[.]ts$';
const CLI = '^src/cli/';

/** layer -> its files, and what of ours they may import beside themselves */
const LAYERS = {
  protocol: { files: PROTOCOL, below: [] },
  core: { files: CORE, below: [PROTOCOL] },
  'broker-ports': { files: PORTS, below: [CORE, PROTOCOL] },
  'broker-memory': { files: MEMORY, below: [PORTS, CORE, PROTOCOL] },
  'broker-redis': { files: REDIS, below: [PORTS, CORE, PROTOCOL] },
  node: { files: NODE, below: [PORTS, CORE, PROTOCOL] },
  transport: { files: TRANSPORT, below: [NODE, PORTS, CORE, PROTOCOL, OPS] },
  ops: { files: OPS, below: [] },
  version: { files: VERSION, below: [] },
  config: { files: CONFIG, below: [CORE, PROTOCOL, OPS] },
  client: { files: CLIENT, below: [PROTOCOL] },
  conformance: { files: CONFORMANCE, below: [PROTOCOL] },
  admin: { files: ADMIN, below: [CLIENT, PROTOCOL] },
  server: {
    files: SERVER,
    below: [VERSION, CONFIG, TRANSPORT, NODE, MEMORY, REDIS, PORTS, CORE, PROTOCOL, OPS],
  },
  cli: {
    files: CLI,
    below: [SERVER, VERSION, CONFIG, TRANSPORT, NODE, PORTS, CORE, PROTOCOL, OPS, CLIENT, CONFORMANCE],
  },
};

/** package -> the only files that may import it, so that it can be replaced by changing those alone */
const HOMES = {
  ws: ['^src/transport/ws-', '^src/cli/(wire-)?socket[.]ts$'],
  ioredis: [REDIS],
  fastify: ['^src/transport/'],
  pino: [OPS],
  'pino-pretty': [OPS],
  uuid: [OPS],
  commander: [CLI],
};

// The second form is a package that is not installed and stayed a bare name.
const packagePath = (name) => `(^|/)node_modules/(@types/)?${name}/|^${name}(/|$)`;

const layerRules = Object.entries(LAYERS).map(([name, { files, below }]) => ({
  name: `layer-${name}`,
  comment: `${name} may import only what stands below it`,
  severity: 'error',
  from: { path: files },
  to: { path: '^(src|test|bench|scripts)/', pathNot: [files, ...below] },
}));

const homeRules = Object.entries(HOMES).map(([name, homes]) => ({
  name: `home-${name}`,
  comment: `${name} is imported only in its home`,
  severity: 'error',
  from: { path: '^src/', pathNot: homes },
  to: { path: packagePath(name) },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Two files that import each other are one file with a hidden seam; type imports count.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'placed',
      comment: 'Every source file belongs to a layer, otherwise no rule binds it.',
      severity: 'error',
      from: { path: '^src/', pathNot: Object.values(LAYERS).map(({ files }) => files) },
      to: {},
    },
    {
      name: 'resolvable',
      comment:
        'An import that cannot be resolved is checked by no other rule. What k6 brings itself is in no package.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: '^k6(/|$)' },
    },
    {
      name: 'no-node-modules-in-pure-layers',
      comment: 'protocol, core, client, conformance and admin run without Node.',
      severity: 'error',
      from: { path: [PROTOCOL, CORE, CLIENT, CONFORMANCE, ADMIN] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-packages-in-pure-layers',
      comment: 'core and client depend on nothing; protocol and conformance on the schemas alone.',
      severity: 'error',
      from: { path: [PROTOCOL, CORE, CLIENT, CONFORMANCE] },
      to: { path: 'node_modules/', pathNot: packagePath('typebox') },
    },
    {
      name: 'no-dev-packages-in-source',
      comment: 'What ships may use only what is installed with it.',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
      },
    },
    ...layerRules,
    ...homeRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts', '.json'],
    },
  },
};
