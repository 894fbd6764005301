import { CniError, messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import { isObject, type JsonObject, lookUp, textIn } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { ALLOW_LIST, type AllowList, readAllowList } from './allow-list.ts';
import { readSysctlName } from './sysctl-name.ts';

/** Checks that networks set no sysctl which the node's allow-list refuses. */
export async function examine(_scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confs.filter((conf) => textIn(conf, 'type') === 'tuning');
  if (own.length === 0) {
    return [];
  }
  let isAllowed: AllowList;
  try {
    isAllowed = readAllowList();
  } catch (error) {
    const fix = error instanceof CniError ? 'correct the file: one regular expression a line' : 'see the error';
    return [{ level: 'fault', text: `pods with sysctls fail: ${messageOf(error)}`, fix }];
  }
  return findingsOf(own, isAllowed);
}

/** One for each sysctl that is refused. */
export function findingsOf(confs: readonly JsonObject[], isAllowed: AllowList): readonly Finding[] {
  const refused = new Map(
    confs.flatMap((conf) =>
      namesIn(conf).flatMap((name) => {
        const readings = readSysctlName(name, 'IFNAME');
        const isRefused = typeof readings !== 'string' && !readings.some(isAllowed);
        return isRefused ? [[name, textIn(conf, 'name')] as const] : [];
      }),
    ),
  );
  return [...refused].map(([name, network]) => ({
    level: 'fault',
    text: `network "${network}" sets sysctl "${name}", which "${ALLOW_LIST}" does not allow`,
    fix: 'add an expression that matches the whole name, or take the sysctl out of the network',
  }));
}

function namesIn(conf: JsonObject): readonly string[] {
  const sysctls = lookUp(conf, 'sysctl');
  return isObject(sysctls) ? Object.keys(sysctls) : [];
}
