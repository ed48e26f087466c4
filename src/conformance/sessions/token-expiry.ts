/** Worked session 7: a token that expires. Nothing of it can be seen where there are no tokens. */
import type { Check } from '../check.ts';
import { skip } from '../outcome.ts';

export const tokenExpiry: Check = {
  name: '7. token expiry, with and without refresh',
  async run(lab) {
    const peer = await lab.hello();
    const reply = await peer.request({ type: 'refresh', token: 'e30.e30.c2ln' });
    if (reply.type === 'error' && reply.code === 'unsupported') {
      skip('no authentication here: refresh is answered with unsupported');
    }
    skip('this server authenticates, and this version of the suite cannot sign tokens for it');
  },
};
