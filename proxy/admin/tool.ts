import type { JsonObject } from '../../policies/types.ts';
import type { Operation } from './operation.ts';

/** The MCP tool of an operation. */
export function toolDefinition(operation: Operation, name: string = operation.name): JsonObject {
  return {
    name,
    description: operation.sentence,
    inputSchema: { ...operation.input, additionalProperties: false } as unknown as JsonObject,
    outputSchema: operation.output,
    annotations: { readOnlyHint: operation.readOnly, destructiveHint: operation.destructive, openWorldHint: false },
  };
}
