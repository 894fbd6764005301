/**
 * What all plugins do in another way than Go's: the table of the project's README, where rows have no ids but begin as
 * `ours` does.
 */

import { failed, hasOtherCode } from '../peers/deviations.ts';
import type { Difference, Tag } from './difference.ts';

export const SHARED = [
  {
    id: 'code-configuration',
    ours: 'a fault in the configuration has code 7 and names key and value',
    go: 'code 999',
    reason: 'a user can act on it',
    covers: (deviation) => hasOtherCode(deviation, 7),
  },
  {
    id: 'code-cni-args',
    ours: 'malformed CNI_ARGS have code 4',
    go: 'code 999',
    reason: 'it is the environment that is wrong',
    covers: (deviation) => hasOtherCode(deviation, 4) && /CNI_ARGS/.test(deviation.ours.message),
  },
  {
    id: 'code-interface-name',
    ours: 'an interface name with a "%" has code 4',
    go: 'an interface of another name is left',
    reason: 'the kernel takes it for a pattern',
    covers: ({ ours, aspect }) =>
      ours.code === 4 && /pattern/.test(ours.message) && ours.isUntouched && aspect !== 'stdout',
  },
  {
    id: 'code-netns',
    ours: 'a CNI_NETNS that is no network namespace has code 8',
    go: 'code 999',
    reason: 'a lost bind mount is a trouble of its own',
    covers: (deviation) => hasOtherCode(deviation, 8),
  },
  {
    id: 'own-netns',
    ours: "a namespace that is the plugin's own is refused before anything is done, with one document on stdout; DEL looks for the pod's elsewhere",
    go: 'the work is done, then refused, with two documents',
    reason: 'runtimes parse all of stdout',
    covers: ({ verb, ours, go, aspect }) =>
      ours.isUntouched &&
      (verb === 'DEL' ? ours.exit === 0 && go.code === 8 : ours.code === 8 && aspect !== 'exit' && failed(go)),
  },
  {
    id: 'code-of-delegate',
    ours: 'the error code of an IPAM plugin or delegate reaches the runtime',
    go: 'sometimes 999',
    reason: 'the runtime can tell "try again later" from "broken"',
    shownBy: 'conformance',
  },
  {
    id: 'del-goes-on',
    ours: 'DEL goes on after a failure and reports all of them',
    go: 'stops at the first',
    reason: 'what can be released is released',
    shownBy: 'conformance',
  },
  {
    id: 'gc-and-status',
    ours: 'GC and STATUS are done by every plugin',
    go: 'mostly empty',
    reason: 'nothing leaks, and a node says early that it cannot serve',
    shownBy: 'conformance',
  },
  {
    id: 'one-process',
    ours: 'delegates of the same build run inside the calling process',
    go: 'every delegate is a process',
    reason: 'start-up is most of the time; `BRAID_EXEC_DELEGATES=1` turns it off',
    shownBy: 'conformance',
  },
] as const satisfies readonly Difference[];

declare module 'vitest' {
  interface TestTags {
    readonly all: Tag<'all', typeof SHARED>;
  }
}
