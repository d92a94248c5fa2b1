import { AgentVmError } from "../../api/errors.ts";
import type { VmSecret } from "../../api/methods/secrets.ts";
import type { AdapterVm } from "../shared/workplace.ts";
import type { RequestTransformation } from "./harness-types.ts";

/** Secrets of this name are transformations. */
const NAME = /^HARNESS_TRANSFORMATION_(\d+)$/;

/** Rules by which the server changes headers of requests on their way out, as secrets of the VM. */
export function transformationsOf(vm: AdapterVm) {
  const existing = async () =>
    (await vm.listSecrets()).flatMap(({ name }) => (NAME.test(name) ? [name] : []));
  const numbered = (rules: readonly RequestTransformation[], first: number) =>
    Object.fromEntries(
      rules.flatMap(secretsOf).map((secret, index) => [`HARNESS_TRANSFORMATION_${first + index}`, secret]),
    );
  let last: Promise<void> = Promise.resolve();
  // The number of a new rule depends on the rules before it: one change at a time.
  const inTurn = async (change: () => Promise<void>) => {
    const turn = last.then(change);
    last = turn.catch(() => undefined);
    await turn;
  };
  return {
    setRequestTransformations: (rules: readonly RequestTransformation[]): Promise<void> =>
      inTurn(async () => {
        const next = numbered(rules, 0);
        const old = Object.fromEntries((await existing()).map((name) => [name, null]));
        await vm.setSecrets({ ...old, ...next });
      }),
    addRequestTransformations: (rules: readonly RequestTransformation[]): Promise<void> =>
      inTurn(async () => {
        const numbers = (await existing()).map((name) => Number(NAME.exec(name)?.[1]));
        await vm.setSecrets(numbered(rules, Math.max(-1, ...numbers) + 1));
      }),
  };
}

/** Makes a secret of each header of a rule. */
function secretsOf({ match, transform }: RequestTransformation): VmSecret[] {
  const { host, path, method, queryString, headers } = match;
  const isPlain = (path === undefined || !("regex" in path)) && !queryString?.length && !headers?.length;
  if (!isPlain) {
    throw new AgentVmError("not_supported", "The server matches requests by host, method and path only", {
      hint: "Leave out `queryString`, `headers` and `regex` of the match.",
    });
  }
  if (path !== undefined && "exact" in path && path.exact.includes("*")) {
    throw new AgentVmError("not_supported", "An exact path with an asterisk would match every path below", {
      hint: "Use `startsWith`, or a path without an asterisk.",
    });
  }
  const place = {
    hosts: [host],
    ...(method !== undefined && method.length > 0 && { methods: method.map((name) => name.toUpperCase()) }),
    ...(path !== undefined && { paths: ["exact" in path ? path.exact : `${path.startsWith}*`] }),
  };
  return Object.entries(transform.headers).map(([name, value]) => ({
    ...place,
    value,
    headers: { [name]: "{secret}" },
  }));
}
