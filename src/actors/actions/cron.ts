import type { CronMethods } from "../../api/actions.ts";
import { action } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Cron actions. */
export const cron: Pick<VmActorActions, keyof CronMethods> = {
  scheduleCron: action("scheduleCron", (c, options) => c.vars.instance.vm.scheduleCron(options)),
  listCronJobs: action("listCronJobs", (c) => c.vars.instance.vm.listCronJobs()),
  cancelCronJob: action("cancelCronJob", (c, id) => c.vars.instance.vm.cancelCronJob(id)),
  listCronRuns: action("listCronRuns", (c, jobId, options) =>
    c.vars.instance.vm.listCronRuns(jobId, options),
  ),
  runCronJob: action("runCronJob", (c, id) => c.vars.instance.vm.runCronJob(id)),
  pauseCronJob: action("pauseCronJob", (c, id) => c.vars.instance.vm.pauseCronJob(id)),
  resumeCronJob: action("resumeCronJob", (c, id) => c.vars.instance.vm.resumeCronJob(id)),
};
