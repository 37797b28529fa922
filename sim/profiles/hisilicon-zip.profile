# Deflate on a Kunpeng 920's ZIP engine, as seen by one process.
name = hisilicon-zip
# 557 MB/s for 8 KiB blocks one at a time (14.7 us each), 354.9 kops for 1 KiB blocks one at a time (2.8 us each): two points, one line.
# 7272 MB/s with 70 in flight is 13 times the first figure: 13 engines. These times include the host software of the measurement.
# 1943 against 7003 MB/s when the two output pages of each block were not touched before: 20 us a page at 13 engines.
source = UADK documentation (performance report; modular design document), published figures
base-ns = 1100
ns-per-byte = 1.66
engines = 13
page-fault-ns = 20000
page-fault-rate = 0
