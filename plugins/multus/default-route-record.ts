import { CniError } from '../../lib/cni/errors.ts';
import { isObject, type Json, type JsonObject, textIn } from '../../lib/cni/json.ts';
import { type CacheKey, editCachedResult } from '../../lib/cni/result-cache.ts';
import { familyOf, isVersion } from '../../lib/cni/versions.ts';
import { RT_TABLE_MAIN } from '../../lib/link/routes.ts';
import { isDefault, parseCidr } from '../../lib/net/cidr.ts';
import { type Family, formatIp, type Ip } from '../../lib/net/ip.ts';
import type { DefaultRoutes } from './default-route.ts';

/**
 * Makes the recorded result of a network tell of the default routes that it has in the pod now: CHECK and DEL get it.
 *
 * @throws CniError when there is no record, or a result of a version that is not known
 */
export const recordDefaultRoutes = (cacheDir: string, key: CacheKey, routes: DefaultRoutes): void =>
  editCachedResult(cacheDir, key, (result) => withDefaultRoutes(result, routes));

/** The same result with these default routes, and without those that it had. */
export function withDefaultRoutes(result: JsonObject, { gateways }: DefaultRoutes): JsonObject {
  const version = textIn(result, 'cniVersion') || '0.1.0';
  if (!isVersion(version)) {
    throw new CniError('internal', `cannot change the routes of a result: unsupported cniVersion "${version}"`);
  }
  if (familyOf(version) !== '0.1') {
    return withRoutes(
      result,
      gateways.map((gateway) => ({ dst: NEW[gateway.family], gw: formatIp(gateway) })),
    );
  }
  return { ...result, ...oldPart(result, 'ip4', 4, gateways), ...oldPart(result, 'ip6', 6, gateways) };
}

/** As the Go plugin writes them, which wants its own spelling back. */
const NEW: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::0/0' };
const OLD: Readonly<Record<Family, string>> = { 4: '0.0.0.0/0', 6: '::/0' };

/** A result of the first versions has one address of a family, or none, and then no route either. */
function oldPart(result: JsonObject, key: 'ip4' | 'ip6', family: Family, gateways: readonly Ip[]): JsonObject {
  const part = result[key];
  const own = gateways.filter((gateway) => gateway.family === family);
  return isObject(part)
    ? {
        [key]: withRoutes(
          part,
          own.map((gateway) => ({ dst: OLD[family], gw: formatIp(gateway) })),
        ),
      }
    : {};
}

function withRoutes(holder: JsonObject, added: readonly JsonObject[]): JsonObject {
  const given = holder['routes'];
  const routes = Array.isArray(given) ? (given as readonly Json[]) : [];
  const kept = routes.filter((route) => !isDefaultRoute(route));
  return routes.length === 0 && added.length === 0 ? holder : { ...holder, routes: [...kept, ...added] };
}

/** Any prefix of length zero, however it is written; in another table than the main one it serves who has rules for it. */
function isDefaultRoute(route: Json): boolean {
  const cidr = parseCidr(textIn(route, 'dst'));
  const table = isObject(route) ? (route['table'] ?? RT_TABLE_MAIN) : undefined;
  return cidr !== undefined && isDefault(cidr) && table === RT_TABLE_MAIN;
}
