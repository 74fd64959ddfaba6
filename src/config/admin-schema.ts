/** `admin` of a sidecar: the operator's doors. */
import { z } from 'zod';
import { file, localListenAddress } from './forms.ts';

export const admin = z
  .strictObject({
    socket: file.default('admin.sock').describe('Unix socket (mode 0600), relative to stateDirectory.'),
    listen: localListenAddress
      .optional()
      .describe('A loopback port besides, for whoever shares no files with it; each call brings a token.'),
    tokenFile: file
      .optional()
      .describe(
        'File with the token that is good for every call: 32 characters or more; read again when it changes.',
      ),
    quitTokenFile: file
      .optional()
      .describe(
        'File with another that is good for `POST /quit` alone, so that a Job’s own container can end its sidecar.',
      ),
  })
  .superRefine(({ listen, tokenFile, quitTokenFile }, context) => {
    const fault = (field: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [field], message });
    if (listen === undefined) {
      if (tokenFile !== undefined) fault('tokenFile', 'is for admin.listen, and there is none');
      if (quitTokenFile !== undefined) fault('quitTokenFile', 'is for admin.listen, and there is none');
      return;
    }
    if ('path' in listen) fault('listen', 'a loopback address: the socket is admin.socket');
    if (tokenFile === undefined && quitTokenFile === undefined)
      fault('listen', 'needs tokenFile or quitTokenFile: every process of this machine reaches it');
  })
  .prefault({})
  .describe('For the operator on this machine: `hopgate status`, `hopgate task`, `hopgate sidecar drain`.');
