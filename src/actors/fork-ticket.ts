import { z } from "zod";

const inputSchema = z.object({
  fork: z.object({ actorId: z.string().regex(/^[\w-]{1,64}$/), ticket: z.string().regex(/^[0-9a-f]{64}$/) }),
});

/** Where a new VM finds its files. */
export type ForkTicket = z.infer<typeof inputSchema>["fork"];

/** What a new actor was made with, if it is a fork. Anybody may make actors, with anything. */
export function ticketOf(input: unknown): ForkTicket | undefined {
  return inputSchema.safeParse(input).data?.fork;
}
