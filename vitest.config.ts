import { defineConfig } from 'vitest/config';

const rooted = { fileParallelism: false, testTimeout: 60_000, hookTimeout: 60_000 };

/** One project per tier: see "What proves it" in ARCHITECTURE.md. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['{lib,plugins,bundle,scripts}/**/*.test.ts'],
          exclude: ['**/*.netns.test.ts'],
        },
      },
      { test: { name: 'netns', include: ['{lib,plugins}/**/*.netns.test.ts'], ...rooted } },
      { test: { name: 'conformance', include: ['conformance/*.test.ts'], ...rooted } },
      { test: { name: 'containerd', include: ['conformance/containerd/*.test.ts'], ...rooted } },
    ],
  },
});
