import type { JsonObject } from '../../policies/types.ts';
import type { Frame } from '../types.ts';
import { objectMember } from '../wire/frame.ts';

/** What the client can do, as this very request declares it: nothing is remembered from others (V-04). */
export function declaredCapabilities(request: Frame): JsonObject | undefined {
  const meta = objectMember(objectMember(request.value, 'params'), '_meta');
  return objectMember(meta, 'io.modelcontextprotocol/clientCapabilities');
}

export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks';

/** Whether this very request declares the tasks extension. */
export function declaresTasks(request: Frame): boolean {
  const extensions = objectMember(declaredCapabilities(request), 'extensions');
  return objectMember(extensions, TASKS_EXTENSION) !== undefined;
}
