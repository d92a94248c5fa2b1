import { z } from "zod";

/** Form of a context's name. */
const NAME = /^[A-Za-z0-9][\w.-]{0,63}$/;

/** A server with a name. */
const contextSchema = z.strictObject({
  endpoint: z.string(),
  token: z.string().optional(),
});

/** Schema of the file with the named servers. */
export const configSchema = z.strictObject({
  current: z.string().optional(),
  contexts: z.record(z.string().regex(NAME), contextSchema).default({}),
});

/** The named servers. */
export type Config = z.output<typeof configSchema>;

export function isContextName(name: string): boolean {
  return NAME.test(name);
}
