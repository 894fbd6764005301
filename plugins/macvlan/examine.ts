import { confsOfType } from '../../lib/cli/confs.ts';
import { hasModule } from '../../lib/cli/kernel.ts';
import { examineLinkPath } from '../../lib/cli/link-path.ts';
import { readConf } from '../../lib/cni/config.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Examined, Finding, Host } from '../../lib/cni/plugin.ts';
import { flatMapInTurn } from '../../lib/sys/in-turn.ts';
import { MacvlanConf } from './config.ts';
import { findParent } from './parent.ts';
import { parentFault } from './plan.ts';

/** The kernel, and the parents of all networks that are configured. */
export async function examine(host: Host, { confs }: Examined): Promise<readonly Finding[]> {
  const own = confsOfType(confs, 'macvlan', undefined, (conf) => JSON.stringify([conf['master'], conf['mtu']]));
  if (own.length === 0) {
    return [];
  }
  const kernel: readonly Finding[] =
    hasModule(host.sysfs, 'macvlan') === false
      ? [{ level: 'fault', text: 'the kernel has no macvlan', fix: 'install the package with its further modules' }]
      : [];
  return [...kernel, ...(await flatMapInTurn(own, (conf) => examineParent(host, conf)))];
}

async function examineParent(host: Host, document: JsonObject): Promise<readonly Finding[]> {
  const network = `network "${String(document['name'])}"`;
  try {
    const conf = readConf(MacvlanConf, document);
    if (conf.linkInContainer) {
      return [];
    }
    const parent = await findParent(host.netns.netlink, conf.master);
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
      ...(await examineLinkPath(host.netns.netlink, parent.name)),
    ];
  } catch (error) {
    return [{ level: 'fault', text: `${network}: ${messageOf(error)}`, fix: 'correct the configuration' }];
  }
}
