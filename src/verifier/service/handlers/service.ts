import { CONTRACT } from '../../../api/contract.ts';
import { openApiDocument } from '../../../api/openapi.ts';
import type { serviceEndpoints } from '../../../api/service.ts';
import { Refusal } from '../../refusal.ts';
import type { Store } from '../../store/store.ts';
import type { Handlers } from '../handler.ts';

export interface ServiceParts {
  readonly store: Store;
  /** What is missing before anything can be issued and published; undefined when nothing is. */
  readonly missing: () => string | undefined;
}

export const serviceHandlers = ({ store, missing }: ServiceParts): Handlers<typeof serviceEndpoints> => {
  let document: ReturnType<typeof openApiDocument> | undefined;
  return {
    getHealth: () => ({ status: 'ok' }),
    getReadiness: () => {
      const what = missing();
      if (what !== undefined) throw new Refusal('api_unavailable', what);
      return { status: 'ready' };
    },
    getOpenApi: () => {
      document ??= openApiDocument(CONTRACT);
      return document;
    },
    listEvents: async ({ query }) => ({ events: [...(await store.events(query))] }),
  };
};
