"""What is looked at after installation in our own objects, in order."""

from __future__ import annotations

from typing import Any, Final

from webhook.check import judge_access, judge_certificates, judge_control_plane, judge_webhooks
from webhook.check.checks_before import REACHABLE
from webhook.check.facts import Objects
from webhook.check.judge_access import Right
from webhook.check.judge_captures import judge_pushing, users_of_pushing
from webhook.check.model import Finding, NotAllowed, Unknown, failed, ok
from webhook.check.place import CERTIFICATE_SECRET, CONFIGURATION, RECONCILER, WEBHOOK, XDS
from webhook.check.run import Check, Context
from webhook.core import names
from webhook.core.model import JsonObject
from webhook.kube import resources

_CERT_MANAGER: Final = ("cert-manager.io/inject-ca-from", "cert-manager.io/certificate-name")


async def _namespace(context: Context) -> Finding:
    name = context.place.namespace
    if await context.facts.object(resources.NAMESPACES, name) is None:
        install = ("evenkeel check --pre", "kubectl apply -k deploy/overlays/cert-manager (or self-managed)")
        return failed(f"namespace {name} does not exist: Evenkeel is not installed", remedy=install)
    return ok(name)


async def _deployment(context: Context, name: str) -> JsonObject | None:
    return await context.facts.own(resources.DEPLOYMENTS, name)


async def _pods(context: Context, deployment: JsonObject | None) -> Objects:
    labels = ((deployment or {}).get("spec", {}).get("selector") or {}).get("matchLabels")
    if not labels:
        return ()
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return await context.facts.listed(resources.PODS, context.place.namespace, labelSelector=selector)


async def _webhook(context: Context) -> Finding:
    found = await _deployment(context, WEBHOOK)
    return judge_control_plane.judge_deployment(found, await _pods(context, found), WEBHOOK, context.place.namespace)


async def _replicas(context: Context) -> Finding:
    found = await _deployment(context, WEBHOOK)
    if found is None:
        raise Unknown(f"Deployment {WEBHOOK} does not exist")
    return judge_control_plane.judge_replicas(found, WEBHOOK, context.place.namespace)


async def _reconciler(context: Context) -> Finding:
    found = await _deployment(context, RECONCILER)
    pods = await _pods(context, found)
    return judge_control_plane.judge_reconciler(found, pods, RECONCILER, context.place.namespace)


async def _lease(context: Context) -> Finding:
    if await _deployment(context, RECONCILER) is None:
        raise Unknown("there is no reconciler")
    lease = await context.facts.own(resources.LEASES, RECONCILER)
    return judge_control_plane.judge_lease(lease, RECONCILER, context.now())


async def _versions(context: Context) -> Finding:
    ours = (WEBHOOK, RECONCILER, XDS)
    return judge_control_plane.judge_versions([await _deployment(context, name) for name in ours])


async def _pushing(context: Context) -> Finding:
    facts = context.facts
    pods = (*await facts.pods(), *await facts.injected())
    settings = await context.installed.sidecar()
    spaces = await facts.namespaces()
    users = list(users_of_pushing([spaces[name] for name in await facts.labelled()], pods, settings))
    found = await _deployment(context, XDS) if users else None
    return judge_pushing(found, await _pods(context, found), users, context.place.namespace)


async def _service(context: Context) -> Finding:
    service = await context.facts.own(resources.SERVICES, WEBHOOK)
    return judge_access.judge_service(service, await slices(context), context.place.namespace)


async def slices(context: Context) -> Objects:
    """Give where the webhook's Service leads."""
    selector = f"{names.SLICE_SERVICE}={WEBHOOK}"
    return await context.facts.listed(resources.ENDPOINT_SLICES, context.place.namespace, labelSelector=selector)


async def _rights(context: Context) -> Finding:
    accounts = [WEBHOOK]
    accounts += [name for name in (RECONCILER, XDS) if await _deployment(context, name) is not None]
    shipped = context.shipped()
    wanted = [Right(each, one) for each in accounts for one in shipped.permissions(each, context.place)]
    allowed = {right: await context.facts.may(context.place.account(right.account), right[1]) for right in wanted}
    return judge_access.judge_rights(allowed)


async def mutating(context: Context) -> JsonObject | None:
    """Give the configuration by which Pods are brought to the webhook."""
    return await context.facts.object(resources.MUTATING_WEBHOOKS, CONFIGURATION)


async def _validating(context: Context) -> JsonObject | None:
    return await context.facts.object(resources.VALIDATING_WEBHOOKS, CONFIGURATION)


async def _mutating_as_shipped(context: Context) -> Finding:
    shipped = context.shipped().get("MutatingWebhookConfiguration", CONFIGURATION)
    return judge_webhooks.judge_configuration(shipped, await mutating(context))


async def _validating_as_shipped(context: Context) -> Finding:
    shipped = context.shipped().get("ValidatingWebhookConfiguration", CONFIGURATION)
    return judge_webhooks.judge_configuration(shipped, await _validating(context))


async def _policies(context: Context) -> Finding:
    left_out = RECONCILER if await _deployment(context, RECONCILER) is None else None
    pairs = [
        (shipped, await context.facts.object(resource, shipped["metadata"]["name"]))
        for resource in (resources.ADMISSION_POLICIES, resources.ADMISSION_POLICY_BINDINGS)
        for shipped in context.shipped().of_kind(resource.kind)
        if shipped["metadata"]["name"] != left_out
    ]
    return judge_webhooks.judge_policies(pairs)


async def _entries(context: Context) -> tuple[judge_certificates.Entry, ...]:
    found = judge_certificates.entries([await mutating(context), await _validating(context)])
    if not found:
        raise Unknown("there is no webhook configuration")
    return found


async def secret(context: Context) -> JsonObject:
    """Give the Secret with the serving certificate; raises Unknown where there is none."""
    found = await context.facts.own(resources.SECRETS, CERTIFICATE_SECRET)
    if found is None:
        raise Unknown(f"Secret {CERTIFICATE_SECRET} does not exist")
    return found


async def chain(context: Context) -> list[Any]:
    """Give the certificate that is served, with its chain; raises Unknown where it cannot be read."""
    try:
        return judge_certificates.served_chain(await secret(context))
    except NotAllowed as error:
        raise Unknown(f"Secret {CERTIFICATE_SECRET} may not be read") from error
    except ValueError as error:
        raise Unknown(f"Secret {CERTIFICATE_SECRET}: {error}") from error


async def _remedy(context: Context) -> tuple[str, ...]:
    """Say who to ask: whoever makes the certificate in this cluster."""
    configuration = await mutating(context) or {}
    namespace = context.place.namespace
    if set(_CERT_MANAGER) & set((configuration.get("metadata") or {}).get("annotations") or {}):
        return (
            f"kubectl describe certificate -n {namespace}",
            "kubectl logs -n cert-manager deployment/cert-manager-cainjector",
        )
    return (
        f"kubectl rollout restart -n {namespace} deployment/{WEBHOOK}, which writes its caBundle anew",
        "if a GitOps tool takes it away again, have it ignore caBundle (deploy/gitops)",
    )


async def _ca_bundles(context: Context) -> Finding:
    return judge_certificates.judge_ca_bundles(await _entries(context), await _remedy(context))


async def _secret(context: Context) -> Finding:
    namespace = context.place.namespace
    if await context.facts.own(resources.SECRETS, CERTIFICATE_SECRET) is None:
        return failed(f"Secret {namespace}/{CERTIFICATE_SECRET} does not exist", remedy=await _remedy(context))
    try:
        judge_certificates.served_chain(await secret(context))
    except ValueError as error:
        return failed(f"Secret {namespace}/{CERTIFICATE_SECRET}: {error}", remedy=await _remedy(context))
    return ok()


async def _agreement(context: Context) -> Finding:
    given = (await _entries(context), await chain(context), context.place.dns_name, context.now())
    return judge_certificates.judge_agreement(*given, await _remedy(context))


async def _lifetime(context: Context) -> Finding:
    return judge_certificates.judge_lifetime(await chain(context), context.now(), await _remedy(context))


_PLANE: Final = "control plane"
_API: Final = "webhooks and policies"
_TLS: Final = "certificates"
_UP: Final = (REACHABLE.name,)
_THERE: Final = (REACHABLE.name, "namespace")

INSTALLATION: Final = (
    Check(_PLANE, "namespace", "the namespace exists", _namespace, _UP),
    Check(_PLANE, "webhook-ready", "the webhook's replicas are ready", _webhook, _THERE),
    Check(_PLANE, "webhook-replicas", "the webhook has two replicas or more", _replicas, _THERE),
    Check(_PLANE, "reconciler-ready", "the reconciler's replicas are ready", _reconciler, _THERE),
    Check(_PLANE, "reconciler-lease", "a reconciler leads", _lease, _THERE),
    Check(_PLANE, "xds-ready", "where endpoints are to be pushed, evenkeel xds is ready", _pushing, _THERE),
    Check(_PLANE, "versions", "what runs is of this program's version", _versions, _THERE),
    Check(_PLANE, "service-endpoints", "the webhook's Service has ready endpoints", _service, _THERE),
    Check(_PLANE, "rbac", "our ServiceAccounts may do what they need", _rights, _THERE),
    Check(_API, "mutating-webhook", "the mutating webhook is as shipped", _mutating_as_shipped, _UP),
    Check(_API, "validating-webhook", "the validating webhook is as shipped", _validating_as_shipped, _UP),
    Check(_API, "policies", "the policies are present and bound as shipped", _policies, _UP),
    Check(_TLS, "ca-bundle", "every webhook entry has a caBundle", _ca_bundles, _UP),
    Check(_TLS, "certificate", "the serving certificate is there", _secret, _THERE),
    Check(_TLS, "ca-agreement", "caBundle vouches for the certificate", _agreement, (*_THERE, "certificate")),
    Check(_TLS, "certificate-lifetime", "the certificate has time left", _lifetime, (*_THERE, "certificate")),
)
