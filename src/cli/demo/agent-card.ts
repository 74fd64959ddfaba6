/** What an agent of the review says of itself, as A2A wants it. */
import { A2A_PROTOCOL_VERSION, type AgentCard } from '@a2a-js/sdk';
import { type AgentRole, hostOf, RPC_PATH } from './story.ts';

const TITLES: Readonly<Record<AgentRole, string>> = {
  planning: 'Planning agent',
  inventory: 'Cloud inventory agent',
  security: 'Security scanner agent',
  cost: 'Cost analyzer agent',
  report: 'Report generator agent',
};

/** The card of an agent; the inventory agent alone streams. */
export const agentCard = (role: AgentRole): AgentCard => ({
  name: TITLES[role],
  description: `The ${role} agent of the quarterly infrastructure review.`,
  supportedInterfaces: [
    {
      url: `http://${hostOf(role)}${RPC_PATH}`,
      protocolBinding: 'JSONRPC',
      protocolVersion: A2A_PROTOCOL_VERSION,
      tenant: '',
    },
  ],
  provider: undefined,
  version: '1.0.0',
  documentationUrl: undefined,
  capabilities: {
    streaming: role === 'inventory',
    pushNotifications: false,
    extensions: [],
    extendedAgentCard: false,
  },
  securitySchemes: {},
  securityRequirements: [],
  defaultInputModes: ['text/plain'],
  defaultOutputModes: ['text/plain'],
  skills: [
    {
      id: role,
      name: TITLES[role],
      description: 'Does its part of the review.',
      tags: ['review'],
      examples: [],
      inputModes: ['text/plain'],
      outputModes: ['text/plain'],
      securityRequirements: [],
    },
  ],
  signatures: [],
});
