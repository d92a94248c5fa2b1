/** Makes an actor, or finds it, with the request of a plain client. @returns its id */
export async function makeActor({ endpoint }: { endpoint: string }, key = "flood"): Promise<string> {
  const body = { name: "vm", key, runner_name_selector: "default", crash_policy: "sleep" };
  const headers = { "content-type": "application/json" };
  const made = await fetch(`${endpoint}/actors`, { method: "PUT", headers, body: JSON.stringify(body) });
  return ((await made.json()) as { actor: { actor_id: string } }).actor.actor_id;
}
