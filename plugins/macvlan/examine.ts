import { confsOfType } from '../../lib/cli/confs.ts';
import { hasModule } from '../../lib/cli/kernel.ts';
import { examineLinkPath } from '../../lib/cli/link-path.ts';
import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { Examined, Finding } from '../../lib/cni/findings.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { MacvlanConf } from './config.ts';
import { findParent } from './parent.ts';
import { parentFault } from './plan.ts';

/** The kernel, and the parents of all networks that are configured. */
export async function examine(scope: Scope, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confsOfType(confs, 'macvlan', undefined, (conf) => JSON.stringify([conf['master'], conf['mtu']]));
  if (own.length === 0) {
    return [];
  }
  const kernel: readonly Finding[] =
    hasModule(scope.node.sysfs, 'macvlan') === false
      ? [{ level: 'fault', text: 'the kernel has no macvlan', fix: 'install the package with its further modules' }]
      : [];
  return [...kernel, ...(await flatMapInTurn(own, (conf) => examineParent(scope, conf)))];
}

async function examineParent(scope: Scope, document: JsonObject): Promise<readonly Finding[]> {
  const network = `network "${String(document['name'])}"`;
  try {
    const conf = readConf(MacvlanConf, document);
    if (conf.linkInContainer) {
      return [];
    }
    const parent = await findParent(scope.node.host.netlink, conf.master);
    const why = parentFault(parent);
    return [
      ...(why === undefined
        ? []
        : [
            {
              level: 'fault' as const,
              text: `${network} cannot have parent "${parent.name}": it ${why}`,
              fix: 'name as "master" what it is enslaved to',
            },
          ]),
      ...(conf.mtu <= parent.mtu
        ? []
        : [
            {
              level: 'fault' as const,
              text: `${network} asks for MTU ${conf.mtu}, but its parent "${parent.name}" has ${parent.mtu}`,
              fix: 'leave "mtu" out, or raise that of the parent',
            },
          ]),
      ...(await examineLinkPath(scope.node.host.netlink, parent.name)),
    ];
  } catch (error) {
    return [{ level: 'fault', text: `${network}: ${messageOf(error)}`, fix: 'correct the configuration' }];
  }
}
