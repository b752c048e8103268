# Linux's own drivers with devices that make every choice that is left to them but the faults, which nothing survives: `seeds` runs from
# seed `first` on, without the choices `without` (each with `,-` in front), as the file seeds beside this one says.
[ -e seeds ] && . ./seeds
truncate -s 8M /tmp/torture-split /tmp/torture-packed
survived=0
for seed in $(seq "${first:-1}" $((${first:-1} + ${seeds:-10} - 1))); do
    name=torture-$seed
    start=$(cut -d. -f1 /proc/uptime)
    ./vmm run --timeout 100s $cloud -c 2 -d /tmp/torture-split -d /tmp/torture-packed,features=+packed --rng \
        --torture "$seed,-faults$without" --conform report -a "$hvc test=torture" > /tmp/$name 2> /tmp/$name.err < /dev/null
    code=$?
    bad=$(tr -d '\r' < /tmp/$name | grep -ac '^not ok')
    good=$(tr -d '\r' < /tmp/$name | grep -ac '^ok')
    if [ $code = 0 ] && [ "$bad" = 0 ] && [ "$good" = 9 ]; then
        survived=$((survived + 1))
        echo "# $name: $(($(cut -d. -f1 /proc/uptime) - start)) s"
    else
        fail $name "exit code $code, $good checks right, $bad wrong"
    fi
done
echo "ok - $survived of ${seeds:-10} seeds survived"
