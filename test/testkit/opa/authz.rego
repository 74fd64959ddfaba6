# The policy of the tests: one rule for each way in which an answer can come.
package hopgate.authz

default allow := false

allow if {
	input.version == "hopgate.dev/v1"
	input.principal.id in data.principals
	"ops" in input.principal.groups
	startswith(input.request.path, "/reports/")
	input.chain.depth <= data.limits.depth
}

decision := {"allow": true} if allow

decision := {"allow": false, "reason": sprintf("%s may not %s", [input.principal.id, input.request.method])} if not allow

# Neither yes nor no.
odd := count(input.principal.groups)

fraction := {"allow": true, "share": 1 / 3}

# Undefined for whoever is nobody's guest.
guest if input.principal.id in data.guests

# Sixteen million turns.
spin if {
	some i in numbers.range(1, 4000)
	some j in numbers.range(1, 4000)
	i * j == 1234567891
}

# As much memory as the input says, in MiB.
hoard := count([text |
	some i in numbers.range(1, input.megabytes)
	text := sprintf("%s %d", [data.filler, i])
])
