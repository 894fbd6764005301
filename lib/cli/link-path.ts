import type { Finding } from '../cni/findings.ts';
import { type DeviceFacts, listDevices } from '../link/device.ts';
import type { Conversation } from '../netlink/conversation.ts';

/**
 * A link of the node that pods send through, and what it sends through itself: VLAN, bond, bridge, down to the NICs.
 *
 * @param name of the link, or one of its alternative names
 */
export async function examineLinkPath(netlink: Conversation, name: string): Promise<readonly Finding[]> {
  const links = await listDevices(netlink);
  const link = links.find((one) => one.name === name || one.altNames.includes(name));
  return link === undefined ? [] : [...stateOf(link), ...mtusBelow(link, links)];
}

function stateOf(link: DeviceFacts): readonly Finding[] {
  const said = `link "${link.name}"`;
  if (!link.isUp) {
    return [{ level: 'fault', text: `${said} is down: its pods reach nobody`, fix: `ip link set ${link.name} up` }];
  }
  return link.isRunning || link.kind === 'dummy'
    ? []
    : [
        {
          level: 'fault',
          text: `${said} has no carrier: its pods reach nobody beyond the node`,
          fix: 'look at cable, port of the switch and link settings',
        },
      ];
}

/** Frames are lost without a word where what is below takes smaller ones. */
function mtusBelow(link: DeviceFacts, links: readonly DeviceFacts[], seen: readonly number[] = []): readonly Finding[] {
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
            text: `link "${link.name}" has MTU ${link.mtu}, but "${below.name}" below it ${below.mtu}: larger packets are lost`,
            fix: `ip link set ${below.name} mtu ${link.mtu}, also at the switch, or lower the MTU of "${link.name}"`,
          },
        ]),
    ...mtusBelow(below, links, [...seen, link.index]),
  ]);
}
