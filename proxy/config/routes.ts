import type { Path } from './problems.ts';
import type { Settings } from './settings.ts';

type Connection = Settings['connections'][number];

interface Context {
  readonly sound: (path: Path) => boolean;
  readonly wrong: (path: Path, message: string) => void;
}

/** First segments of the paths that the gateway serves, or clients look for. */
const OWN: ReadonlySet<string> = new Set([
  'api',
  'assets',
  'healthz',
  'login',
  'logout',
  'mcp',
  'message',
  'messages',
  'metrics',
  'readyz',
  'reviews',
  'sse',
]);

/** Routes must have one owner: not the gateway itself, and not two connections. */
export function checkRoutes(connections: readonly (Connection | undefined)[], { sound, wrong }: Context): void {
  const taken: { readonly owner: number; readonly path: string; readonly methods: readonly string[] }[] = [];
  for (const [owner, connection] of connections.entries()) {
    const at = ['connections', owner, 'routes'];
    if (connection === undefined || !sound(at) || connection.routes.length === 0) continue;
    if (sound(['connections', owner, 'upstream']) && !('url' in connection.upstream)) {
      wrong(at, 'a command has no routes, expected them on a connection with a url');
    }
    for (const [index, { path, methods }] of connection.routes.entries()) {
      if (OWN.has(path.split('/')[1]!.toLowerCase()))
        wrong([...at, index, 'path'], 'is served by the gateway itself, expected another');
      for (const other of taken) {
        const overlaps = other.path === path || isBelow(path, other.path) || isBelow(other.path, path);
        const twice = other.path === path && methods.some((method) => other.methods.includes(method));
        if (other.owner !== owner ? overlaps : twice) {
          wrong(
            [...at, index, 'path'],
            `overlaps a route above of ${connections[other.owner]!.name}, expected a path of its own`,
          );
        }
      }
      taken.push({ owner, path, methods });
    }
  }
}

const isBelow = (path: string, prefix: string): boolean => path.startsWith(`${prefix}/`);
