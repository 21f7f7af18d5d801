-- Health of an ImageBuild for Argo CD: docs/gitops.md says where it goes. Lua 5.1, as Argo CD has it.
-- Progressing: queued, running, waiting for something that is missing, being deleted. Healthy: published.
-- Degraded: failed or cancelled; nothing will happen before somebody changes something.
-- Suspended: waits for its user.
local health = { status = "Progressing", message = "Waiting for the operator" }
local ready, stalled, reconciling
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    if condition.type == "Ready" then ready = condition end
    if condition.type == "Stalled" then stalled = condition.status == "True" end
    if condition.type == "Reconciling" then reconciling = condition.status == "True" end
  end
end
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "Being deleted"
  if ready ~= nil and ready.reason == "Deleting" then health.message = "Being deleted: " .. ready.message end
  return health
end
if ready == nil then return health end
-- What is said about an older spec says nothing about this one.
if obj.status.observedGeneration ~= obj.metadata.generation then
  health.message = "Waiting for the operator to take up the change"
  return health
end
if ready.status == "True" then
  health.status = "Healthy"
elseif stalled then
  health.status = "Degraded"
elseif ready.reason == "Suspended" and not reconciling then
  health.status = "Suspended"
end
health.message = ready.reason
if ready.message ~= nil and ready.message ~= "" then health.message = ready.reason .. ": " .. ready.message end
return health
