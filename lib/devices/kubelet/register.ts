import { basename } from 'node:path';
import { credentials, makeClientConstructor } from '@grpc/grpc-js';
import { KUBELET_REGISTRATION } from './service.ts';

const REGISTER_MS = 15_000;

/**
 * The older way: the kubelet calls back before it answers.
 *
 * @param kubeletSocket where the kubelet listens
 * @param socket where the resource is served, in the same folder
 * @throws Error
 */
export function register(kubeletSocket: string, resourceName: string, socket: string): Promise<void> {
  const Client = makeClientConstructor(KUBELET_REGISTRATION, 'Registration');
  const client = new Client(`unix:${kubeletSocket}`, credentials.createInsecure(), {
    'grpc.default_authority': 'localhost',
  });
  const request = { version: 'v1beta1', endpoint: basename(socket), resourceName };
  return new Promise<void>((resolve, reject) => {
    client['Register']?.(request, { deadline: Date.now() + REGISTER_MS }, (error: Error | null) =>
      error === null ? resolve() : reject(error),
    );
  }).finally(() => client.close());
}
