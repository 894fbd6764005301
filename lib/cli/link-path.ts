import type { Finding } from '../cni/findings.ts';
import { type DeviceFacts, listDevices } from '../link/device.ts';
import type { Conversation } from '../netlink/conversation.ts';

/**
 * Checks a link of the node that pods send through, and those below it: VLAN, bond, bridge, down to the NICs.
 *
 * @param name of the link, or one of its alternative names
 */
export async function examineLinkPath(netlink: Conversation, name: string): Promise<readonly Finding[]> {
  const links = await listDevices(netlink);
  const link = links.find((one) => one.name === name || one.altNames.includes(name));
  return link === undefined ? [] : [...stateOf(link), ...checkLowerMtus(link, links)];
}

function stateOf(link: DeviceFacts): readonly Finding[] {
  const said = `link "${link.name}"`;
  if (!link.isUp) {
    return [{ level: 'fault', text: `${said} is down: its pods are cut off`, fix: `ip link set ${link.name} up` }];
  }
  return link.isRunning || link.kind === 'dummy'
    ? []
    : [
        {
          level: 'fault',
          text: `${said} has no carrier: its pods cannot reach other nodes`,
          fix: 'check cable, switch port and link settings',
        },
      ];
}

/** Frames are dropped silently where a lower link has a smaller MTU. */
function checkLowerMtus(
  link: DeviceFacts,
  links: readonly DeviceFacts[],
  seen: readonly number[] = [],
): readonly Finding[] {
  if (seen.includes(link.index)) {
    return [];
  }
  const isBelow = (one: DeviceFacts): boolean =>
    one.masterIndex === link.index || (link.kind === 'vlan' && one.index === link.parentIndex);
  return links.filter(isBelow).flatMap((below): readonly Finding[] => [
    ...(below.mtu >= link.mtu
      ? []
      : [
          {
            level: 'fault' as const,
            text: `link "${link.name}" has MTU ${link.mtu}, but "${below.name}" below it has ${below.mtu}: larger packets are dropped`,
            fix: `ip link set ${below.name} mtu ${link.mtu}, and on the switch, or lower the MTU of "${link.name}"`,
          },
        ]),
    ...checkLowerMtus(below, links, [...seen, link.index]),
  ]);
}
