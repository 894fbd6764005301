import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { Lab } from '../testing/lab.ts';
import { watchKernel } from './kernel-events.ts';

describe('the kernel', () => {
  it('tells of links that come and go, until nobody wants to hear', async () => {
    using lab = new Lab();
    using netns = lab.open(lab.node);
    const ip = (command: string) => execFileSync('ip', ['-n', lab.node, ...command.split(' ')]);
    let rings = 0;
    {
      using _ = watchKernel(lab.native, netns.descriptor, () => rings++);
      ip('link add one type bridge');
      await expect.poll(() => rings).toBeGreaterThan(0);
      const before = rings;
      ip('link del one');
      await expect.poll(() => rings).toBeGreaterThan(before);
    }
    const last = rings;
    ip('link add one type bridge');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(rings).toBe(last);
  });
});
