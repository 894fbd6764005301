import type { TestTags } from 'vitest';
import { defineConfig } from 'vitest/config';
import { tagsOf } from './conformance/contract/all-differences.ts';

/** What ends only what would hang: a machine with far too much to do takes several times as long, and may stand still. */
const HANGS_MS = 300_000;
/** How long `expect.poll` waits there; vitest's own second is too short for what the kernel does later. */
const polling = { expect: { poll: { timeout: 30_000 } } };

const rooted = { fileParallelism: false, testTimeout: HANGS_MS, hookTimeout: HANGS_MS, ...polling };

/** One project per tier: see "What proves it" in ARCHITECTURE.md. */
export default defineConfig({
  test: {
    // What a test shows that we do in another way than Go: another tag is a mistake.
    tags: (await tagsOf()).map((name) => ({ name: name as TestTags[keyof TestTags] })),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{lib,plugins,bundle,scripts}/**/*.test.ts'],
          exclude: ['**/*.netns.test.ts', '**/*.cluster.test.ts'],
          testTimeout: 60_000, // thousands of random operations, on a machine with far too much to do
          ...polling,
        },
      },
      { test: { name: 'netns', include: ['{lib,plugins}/**/*.netns.test.ts'], ...rooted } },
      {
        test: {
          name: 'conformance',
          include: ['conformance/{contract,plugins,braid,build,storm,resident}/**/*.test.ts'],
          exclude: ['conformance/plugins/*/vm/**'],
          ...rooted,
        },
      },
      {
        test: {
          name: 'vm',
          include: ['conformance/vm/*.test.ts', 'conformance/plugins/*/vm/*.test.ts'],
          setupFiles: ['conformance/vm/inside.ts'],
          // Starting Node takes seconds there: one, for all files.
          pool: 'threads',
          isolate: false,
          fileParallelism: false,
          testTimeout: 400_000,
          hookTimeout: 400_000,
        },
      },
      {
        test: {
          name: 'cluster',
          include: ['{lib,plugins}/**/*.cluster.test.ts', 'conformance/cluster/*.test.ts'],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 900_000, // run alone, the first one may build the servers
        },
      },
      {
        test: {
          name: 'containerd',
          include: ['conformance/containerd/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'kubernetes',
          include: ['conformance/kubernetes/*.test.ts'],
          maxWorkers: 2, // clusters of their own, and half of the time is waiting for kubelets
          testTimeout: 600_000, // twice as long as is waited for one thing, which then says what it was
          hookTimeout: 1_800_000, // run alone, the first one may build the cluster's programs
        },
      },
      {
        test: {
          name: 'kubernetes-vm',
          include: ['conformance/kubernetes/vm/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 1_800_000,
        },
      },
    ],
  },
});
