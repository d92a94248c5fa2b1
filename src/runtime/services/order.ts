import type { ServiceOptions } from "../../api/methods/services.ts";

/** Finds a need that no service can meet. @returns the reason, or `undefined` if all needs can be met */
export function unmetNeed(services: readonly Pick<ServiceOptions, "name" | "needs">[]): string | undefined {
  const needs = new Map(services.map((service) => [service.name, service.needs ?? []]));
  if (needs.size < services.length) return "two services have one name";
  const met = new Set<string>();
  for (const [name, needed] of needs) {
    const unknown = needed.find((other) => !needs.has(other));
    if (unknown !== undefined) return `${name} needs ${unknown}, which is not a service`;
  }
  for (let before = -1; met.size > before; ) {
    before = met.size;
    for (const [name, needed] of needs) if (needed.every((other) => met.has(other))) met.add(name);
  }
  const stuck = [...needs.keys()].filter((name) => !met.has(name));
  return stuck.length === 0 ? undefined : `${stuck.join(", ")} need each other`;
}
