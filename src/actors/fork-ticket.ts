import { z } from "zod";

const inputSchema = z.object({
  fork: z.object({ actorId: z.string().regex(/^[\w-]{1,64}$/), ticket: z.string().regex(/^[0-9a-f]{64}$/) }),
});

/** Source of a new VM's files: the actor to copy from, and the secret that opens the copy. */
export type ForkTicket = z.infer<typeof inputSchema>["fork"];

/**
 * Reads the ticket from a new actor's input. Any client may create actors with any input.
 *
 * @returns `undefined` if the actor is not a fork
 */
export function ticketOf(input: unknown): ForkTicket | undefined {
  return inputSchema.safeParse(input).data?.fork;
}
