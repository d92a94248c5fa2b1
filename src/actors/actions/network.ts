import type { NetworkMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import { callerGone } from "../caller.ts";
import type { VmActorActions } from "../context.ts";

/** Network actions. */
export const network: Pick<VmActorActions, keyof NetworkMethods> = {
  vmFetch: action("vmFetch", (c, port, path, options) =>
    c.vars.instance.vm.vmFetch(port, path, options, callerGone()),
  ),
  listPorts: action("listPorts", (c) => c.vars.instance.vm.listPorts()),
  waitForPort: action("waitForPort", (c, port, options) =>
    c.vars.instance.vm.waitForPort(port, options, callerGone()),
  ),
  createSignedPreviewUrl: action("createSignedPreviewUrl", async (c, port, expiresInSeconds) => {
    const preview = await c.vars.instance.vm.createPreview(port, expiresInSeconds);
    return { ...preview, url: `${c.vars.endpoint()}/gateway/${c.actorId}${preview.path}/` };
  }),
  expireSignedPreviewUrl: action("expireSignedPreviewUrl", (c, token) =>
    c.vars.instance.vm.expireSignedPreviewUrl(token),
  ),
  setNetworkPolicy: action("setNetworkPolicy", (c, policy) => c.vars.instance.vm.setNetworkPolicy(policy)),
  getNetworkPolicy: action("getNetworkPolicy", (c) => c.vars.instance.vm.getNetworkPolicy()),
  getNetworkLog: action("getNetworkLog", (c) => c.vars.instance.vm.getNetworkLog()),
  listPreviews: action("listPreviews", (c) => c.vars.instance.vm.listPreviews()),
};
