"""Valid manifests as people and programs write them, each with something that a careless editor would break."""

PLAIN = """\
# The web shop.
apiVersion: apps/v1
kind: Deployment  # by hand
metadata:
  name: 'web'
  namespace: shop

spec:
  # Two are enough.
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    # about the pods
    metadata:
      # seen by the Service
      labels: {app: web}   # one label
    spec:
      # what runs
      containers:
        # the app
        - name: web
          image: "registry.example/web:1.0"   # pinned
          ports: [{containerPort: 8080}]
# the end
"""

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: web
"""

UGLY = {
    "plain with comments everywhere": PLAIN,
    "a pod": POD,
    "windows line breaks": PLAIN.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + PLAIN,
    "byte order mark and document start": "\ufeff---\r\n" + POD.replace("\n", "\r\n"),
    "no final line break": PLAIN.removesuffix("# the end\n").rstrip("\n"),
    "no final line break in a pod": POD.removesuffix("\n"),
    "trailing spaces and blank lines": POD.replace("\n", "   \n\n") + "\n\n  \n",
    "document start with a comment": "---   # first\n" + POD + "...\n# bye\n",
    "null parent last, no final line break": "apiVersion: v1\nkind: Pod\nspec:\n  containers: [{name: web}]\nmetadata:",
    "directive": "%YAML 1.1\n# hello\n---\n" + POD,
    "licence before the document start": "# Copyright\n# Somebody\n---\n" + POD,
    "tab in comments": POD.replace("kind: Pod", "kind: Pod\t#\ttabbed").replace("spec:", "spec:\t# \there"),
    "null metadata of the template": """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata:   # nothing here
    spec:
      containers: [{name: web}]
""",
    "tilde, null and empty parents": """\
apiVersion: v1
kind: Pod
metadata:
  annotations: ~   # none
  name: web
spec:
  initContainers: null
  volumes: []   # none either
  containers: [{name: web}]
""",
    "empty annotations": POD.replace("  name: web\nspec", "  annotations: {}\n  name: web\nspec"),
    "empty annotations on a line of their own": POD.replace("  name: web\nspec", "  annotations:\n    {}\nspec"),
    "empty annotations with a comment": POD.replace("  name: web\nspec", "  annotations: {}  # todo\nspec"),
    "annotations already there": """\
apiVersion: v1
kind: Pod
metadata:
  annotations:
    # why
    example.com/note: |
      a text

      with --- in it
    example.com/folded: >-
      more
      text
  name: web
spec:
  volumes:
    - name: data   # mine
      emptyDir: {}
  initContainers:
    # migrate first
    - name: migrate
      image: migrate
  containers:
    - name: web
""",
    "block scalar that looks like documents": """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - name: web
      args:
        - |
          ---
          apiVersion: v1
          ...
        - >+
          folded

          and kept


""",
    "block scalar last, no final line break": POD + "    args:\n    - |-\n      echo\n      done",
    "flow all the way": "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: web}]}}\n",
    "flow over lines": """\
apiVersion: v1
kind: Pod
metadata: {
    name: web,   # the name
  }
spec: {
  containers: [
    {name: web, image: web},
  ],
  volumes: [ ],
}
""",
    "flow after the document start": "--- {apiVersion: v1, kind: Pod, spec: {containers: [{name: web}]}}\n",
    "quoted keys and odd spacing": """\
"apiVersion" : v1
'kind'  :  Pod
"metadata":
      'name':   web
spec :
     "containers"  :
          -    name: web
               image: 'it''s'
""",
    "dash on a line of its own": """\
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  -
    name: web
  volumes:
  -
    name: data
""",
    "unicode": POD.replace("image: web", "image: web # naïve — 日本語 🚢").replace(
        "  name: web\nspec", "  name: web\n  labels: {ü: 'é 🚢'}\nspec"
    ),
    "anchors elsewhere": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: &labels
    app: web
spec:
  selector:
    matchLabels: *labels
  template:
    metadata:
      labels: *labels
    spec:
      containers:
        - &first
          name: web
          image: web
""",
    "anchored list": POD.replace("  containers:\n", "  volumes: &v\n  - name: a\n  containers:\n"),
    "anchored mapping": POD.replace("metadata:\n", "metadata: &meta\n"),
    "indented sequences": PLAIN.replace("        - name: web", "            - name: web")
    .replace("          image: ", "              image: ")
    .replace("          ports: ", "              ports: "),
    "list of objects": """\
apiVersion: v1
kind: List
items:
# the namespace
- apiVersion: v1
  kind: Namespace
  metadata: {name: shop}
- apiVersion: v1
  kind: Pod
  metadata:
    name: a
  spec:
    containers:
    - name: a   # first
- kind: List
  apiVersion: v1
  items:
  - {apiVersion: v1, kind: Pod, metadata: {name: b}, spec: {containers: [{name: b}]}}
""",
    "cron job": """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - {name: nightly, image: nightly}
""",
    "json": '{"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "web"}]}}',
    "json with numbers": """\
{"apiVersion": "v1", "kind": "Pod", "metadata": null,
 "spec": {"containers": [{"name": "web"}], "x-a": 1.5e3, "x-b": 0.25, "x-c": -7}}
""",
    "json over lines": """\
{
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web"
    },
    "spec": {
        "containers": [
            {
                "name": "web"
            }
        ],
        "volumes": []
    }
}
""",
    "json with tabs": """\
{
\t"apiVersion": "v1",
\t"kind": "Pod",
\t"spec": {
\t\t"containers": [{"name": "web"}]
\t}
}
""",
    "yaml 1.1 surprises": POD
    + """\
    env:
    - {name: A, value: "yes"}
    - {name: B, value: '012'}
    ports:
    - containerPort: 0x1F90
      hostPort: 017_620
    tty: off
    stdin: y
""",
}
"""What is edited in place: every line of it stays."""

WRITTEN_ANEW = {
    "template that is an alias": """\
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: one}
  spec: &spec
    template:
      metadata: {labels: {app: web}}
      spec: {containers: [{name: web}]}
- apiVersion: apps/v1
  kind: Deployment
  metadata: {name: two}
  spec: *spec
""",
    "ends with an alias": "# keep\n---\n"
    + POD.replace("metadata:\n", "metadata: &m\n")
    + "x-again: *m\n# and this\n...\n",
    "merged containers": POD.replace("spec:\n", "x-c: &c\n  volumes:\n  - name: a\nspec:\n  <<: *c\n")
    .replace("kind: Pod\n", "kind: Pod\nx-m: &m {annotations: {a: b}}\n")
    .replace("metadata:\n", "metadata: &meta\n")
    + "x-copy: *meta\n",
    "comment between dash and item": POD.replace(
        "  containers:", "  volumes:\n  - # data\n    name: data\n  containers:"
    ),
    "anchored braces": POD.replace("metadata:\n  name: web\n", "metadata: &m {name: web}\n"),
    "alias in a list": POD.replace("metadata:\n  name: web\n", "x-m: &m {name: web}\nmetadata: *m\n"),
    "explicit keys": """\
? apiVersion
: v1
? kind
: Pod
? metadata
: name: web
? spec
: containers:
  - name: web
""",
    "json with half a surrogate pair": '{"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "\\ud83d"}}, '
    '"spec": {"containers": [{"name": "web"}]}}\n',
    "json with surrogate pairs": '{"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "\\ud83d\\udea2"}}, '
    '"spec": {"containers": [{"name": "web"}]}}\n',
}
"""What cannot be edited in place; the value is right all the same."""
