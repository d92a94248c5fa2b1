import { z } from "zod";
import { MAX_AGENT_SETTINGS_BYTES } from "../../api/limits.ts";
import { fitsJson } from "../../api/size.ts";
import type { SessionConfigOption, SessionModeState } from "../../api/types.ts";

/** What agents send of their modes, models and other settings, as far as it is understood; the rest is kept. */
const modesSchema = z.looseObject({
  currentModeId: z.string(),
  availableModes: z.array(
    z.looseObject({ id: z.string(), name: z.string().optional(), description: z.string().nullish() }),
  ),
});

/** The form that configOptions have replaced. */
const modelsSchema = z.looseObject({
  currentModelId: z.string(),
  availableModels: z.array(z.looseObject({ modelId: z.string(), name: z.string().optional() })),
});

const valueSchema = z.looseObject({ value: z.string(), name: z.string().optional() });

const optionSchema = z.looseObject({
  id: z.string(),
  name: z.string().optional(),
  description: z.string().nullish(),
  category: z.string().nullish(),
  currentValue: z.union([z.string(), z.boolean()]).optional(),
  options: z.array(z.union([z.looseObject({ options: z.array(valueSchema) }), valueSchema])).optional(),
});

export const settingsSchema = z.object({
  modes: modesSchema.nullish().catch(null),
  models: modelsSchema.nullish().catch(null),
  configOptions: z.array(optionSchema).nullish().catch(null),
});

/** An agent's settings as it told them last. */
export type Settings = z.infer<typeof settingsSchema>;
export type ConfigOption = z.infer<typeof optionSchema>;

/** Settings in an agent's answer; none where it tells more than is kept. */
export function settingsIn(result: unknown): Settings {
  const { data } = settingsSchema.safeParse(isKept(result) ? result : {});
  return data ?? {};
}

/** Asked before they are looked at, which takes a second for a million of them. */
function isKept(told: unknown): boolean {
  return fitsJson(told, MAX_AGENT_SETTINGS_BYTES);
}

/** What a session/update says about settings; `undefined` where it says nothing. */
export function settingsAfter(settings: Settings, update: unknown): Settings | undefined {
  if (!kindSchema.safeParse(update).success || !isKept(update)) return undefined;
  const change = updateSchema.safeParse(update).data;
  if (change?.sessionUpdate === "current_mode_update") {
    const { modes } = settings;
    return {
      ...withOption(settings, "mode", change.currentModeId),
      ...(modes && { modes: { ...modes, currentModeId: change.currentModeId } }),
    };
  }
  if (change?.sessionUpdate === "config_option_update") return withOptions(settings, change.configOptions);
  return undefined;
}

const kindSchema = z.object({ sessionUpdate: z.enum(["current_mode_update", "config_option_update"]) });

const updateSchema = z.discriminatedUnion("sessionUpdate", [
  z.object({ sessionUpdate: z.literal("current_mode_update"), currentModeId: z.string() }),
  z.object({ sessionUpdate: z.literal("config_option_update"), configOptions: z.array(optionSchema) }),
]);

/** The option of a category, such as `"model"`; its id is each agent's own. */
export function optionOf(settings: Settings, category: string): ConfigOption | undefined {
  return settings.configOptions?.find((option) => option.category === category);
}

/** Settings after an option of a category was set. */
export function withOption(settings: Settings, category: string, value: string): Settings {
  const option = optionOf(settings, category);
  if (option === undefined) return settings;
  const currentValue = typeof option.currentValue === "boolean" ? value === "true" : value;
  const configOptions = (settings.configOptions ?? []).map((other) =>
    other === option ? { ...option, currentValue } : other,
  );
  return { ...settings, configOptions };
}

/** Settings after an agent told its options; one that also has modes in the old form tells a new one in one form only. */
function withOptions(settings: Settings, configOptions: ConfigOption[]): Settings {
  const { modes } = settings;
  const mode = configOptions.find(({ category }) => category === "mode")?.currentValue;
  const isKnown = modes?.availableModes.some(({ id }) => id === mode);
  return {
    ...settings,
    configOptions,
    ...(modes && isKnown && { modes: { ...modes, currentModeId: String(mode) } }),
  };
}

/** Modes as the API tells them: the agent's own, or those of its option for them. */
export function modesOf(settings: Settings): SessionModeState | null {
  const { modes } = settings;
  if (modes) {
    return {
      currentModeId: modes.currentModeId,
      availableModes: modes.availableModes.map(({ id, name, description }) => ({
        id,
        ...(name !== undefined && { name, label: name }),
        ...(typeof description === "string" && { description }),
      })),
    };
  }
  const option = optionOf(settings, "mode");
  if (option === undefined) return null;
  return {
    currentModeId: String(option.currentValue ?? ""),
    availableModes: valuesOf(option).map(({ id, label }) => ({
      id,
      ...(label !== undefined && { name: label, label }),
    })),
  };
}

/** Options as the API tells them. */
export function configOptionsOf(settings: Settings): SessionConfigOption[] {
  return (settings.configOptions ?? []).map((option) => {
    const { id, name, description, category, currentValue } = option;
    return {
      id,
      ...(typeof category === "string" && { category }),
      ...(name !== undefined && { label: name }),
      ...(typeof description === "string" && { description }),
      ...(currentValue !== undefined && { currentValue: String(currentValue) }),
      allowedValues: valuesOf(option),
    };
  });
}

/** Values that an option takes, those in groups too. */
function valuesOf({ options, currentValue }: ConfigOption): { id: string; label?: string }[] {
  if (typeof currentValue === "boolean") return [{ id: "true" }, { id: "false" }];
  const values = (options ?? []).flatMap((entry) => {
    const group = groupSchema.safeParse(entry);
    return group.success ? group.data.options : [valueSchema.parse(entry)];
  });
  return values.map(({ value, name }) => ({ id: value, ...(name !== undefined && { label: name }) }));
}

const groupSchema = z.looseObject({ options: z.array(valueSchema) });
