import { CONF_FILE, NODE, PROGRAMS, podNetns, STATE } from './lab.ts';
import { bold } from './terminal.ts';

/** What people can look at in a lab that was left running. */
export function howToLookAround(): string {
  const pod = podNetns('pod-a');
  const lines = [
    ['the interfaces of a pod', `ip -n ${pod} -brief address`],
    ['the NICs of the node', `ip -n ${NODE} -brief link`],
    ['a shell in a pod', `ip netns exec ${pod} bash`],
    ['what multus was given', `cat ${CONF_FILE}`],
    ['what is kept on disk', `find ${STATE} -type f`],
    ['a plugin called by hand', `CNI_COMMAND=VERSION ${PROGRAMS}/multus`],
    ['take the lab down', './scripts/try --down'],
  ];
  return [
    bold('The lab is still running. Look around:'),
    ...lines.map(([what, how]) => `  ${what?.padEnd(24)} ${how}`),
  ].join('\n');
}
