/** Bodies that two readers could take for two messages, and those that every reader takes for the same. */
import type { Case } from './case.ts';
import { a2aMessageCases } from './message-a2a.ts';
import { jsonMessageCases } from './message-json.ts';
import { mcpMessageCases } from './message-mcp.ts';

export const messageCases = (): Case[] => [...jsonMessageCases(), ...mcpMessageCases(), ...a2aMessageCases()];
