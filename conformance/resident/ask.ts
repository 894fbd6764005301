/** One request over HTTP. */
import { type RequestOptions, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export const ask = (options: RequestOptions): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request({ ...options, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('error', reject);
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') });
      });
    });
    sent.once('error', reject);
    sent.end();
  });
