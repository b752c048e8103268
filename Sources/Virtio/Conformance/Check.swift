// The conformance checks, in the order of the specification. The clauses they cover are in Check+*.swift.

/// A conformance check: whether the driver keeps one clause. Below each case are the clause's id and level; `clause` has
/// its sentence.
public enum Check: UInt8, CaseIterable, Sendable {
    // Status, features, reset
    /// 2.1.1-1, MUST.
    case statusShowsSteps
    /// 2.1.1-2, MUST NOT.
    case statusBitKept
    /// 2.1.1-3, MUST.
    case resetAfterFailed
    /// 2.1.1-4, SHOULD NOT.
    case needsResetNotUsed
    /// 2.2.1-1, MUST NOT.
    case featureOffered
    /// 6.1-1, MUST.
    case version1Accepted
    /// 3.1.1-4, MUST NOT.
    case featuresFinal
    /// VMM-4, advice.
    case featuresRewritten
    /// 3.1.1-1b, MUST.
    case featuresOKReadBack
    /// 3.1.1-1a, MUST.
    case initialisationOrder
    /// 3.1.1-1c, MUST.
    case queuesAfterFeatures
    /// 3.1.1-3, MUST NOT.
    case configurationLeftAlone
    /// 3.1.1-6, MUST NOT.
    case featuresRefused
    /// 3.1.1-7, MUST NOT.
    case notificationAfterDriverOK
    // Registers
    /// 2.5.1-3, MUST.
    case fieldOffered
    /// 4.2.2.2-1, MUST NOT.
    case registerDefined
    /// 4.2.2.2-2, MUST NOT.
    case registerWritable
    /// VMM-5, advice.
    case fieldWritable
    /// 4.2.2.2-3, MUST NOT.
    case registerReadable
    /// 4.2.2.2-4, MUST.
    case registerWidth
    /// 4.2.2.2-5, MUST.
    case fieldWidth
    /// 4.2.2.2-12, MUST.
    case deviceFeaturesSelected
    /// 4.2.2.2-13, MUST.
    case driverFeaturesSelected
    /// 4.2.3.2-0, advice.
    case queueSelected
    /// 4.2.2.2-14, MUST.
    case queueSizeAllowed
    /// 4.2.2.2-15, MUST NOT.
    case readyQueueLeftAlone
    /// 4.2.2.2-17, MUST.
    case queueStopReadBack
    /// 4.2.2.2-19, MUST.
    case eventPending
    /// 4.2.2.2-20, MUST NOT.
    case definedEvents
    /// VMM-7, advice.
    case interruptStatusRead
    /// VMM-9, advice.
    case queueResetNegotiated
    /// 4.2.2.2-21, MUST NOT.
    case queueResetAwaited
    /// VMM-6, advice.
    case queueEndSeen
    /// VMM-10, advice.
    case ringEmptyWhenReady
    /// VMM-8, advice.
    case noSharedMemory
    /// 4.2.3.3-0, stated.
    case notifiedQueueExists
    /// VMM-1, advice.
    case notifiedQueueReady
    // Virtqueues of both formats
    /// 6.1-5, MUST.
    case addressInMemory
    /// VMM-2, advice.
    case bufferOutsideRings
    // Split virtqueues
    /// 2.7-0, stated.
    case splitSize
    /// 2.7.1-1, MUST.
    case splitAlignment
    /// 2.7.4.2-1, MUST.
    case splitWritableLast
    /// 3.3.1-1, MUST NOT.
    case splitDescriptorKept
    /// 2.7.5.2-1, MUST NOT.
    case splitNoLoop
    /// 2.7.5-0, stated.
    case splitNextInTable
    /// 2.7.5.2-2, MUST.
    case splitInOrder
    /// 2.7.5.3.1-5, MUST.
    case tableInOrder
    /// 2.7.5.3.1-1, MUST NOT.
    case splitIndirectNegotiated
    /// 2.7.5.3.1-2, MUST NOT.
    case splitOneTable
    /// 2.7.5.3.1-3, MUST NOT.
    case splitLength
    /// VMM-11, advice.
    case splitLengthOfQueue
    /// 2.7.5.3.1-4, MUST NOT.
    case splitTableEndsChain
    /// 2.7.5.3-0, stated.
    case tableWhole
    /// 2.7.6.1-1, MUST NOT.
    case availableIndexAdvances
    /// 2.7.6-0, stated.
    case headInTable
    /// 2.7.13-0, stated.
    case headFree
    /// 2.7.7.1-1, MUST.
    case availableFlags
    /// 2.7.7.1-3, MUST.
    case availableFlagsZero
    // Packed virtqueues
    /// 2.8.11-1, MUST.
    case packedAlignment
    /// 2.8.16-1, MUST NOT.
    case packedDescriptorKept
    /// 2.8.17-1, MUST NOT.
    case packedLength
    /// 2.8.17-2, MUST NOT.
    case packedNoLoop
    /// VMM-12, advice.
    case packedBytes
    /// 2.8.17-3, MUST.
    case packedWritableLast
    /// 2.8.17-5, MUST.
    case packedRoom
    /// 2.8.17-6, MUST NOT.
    case packedWholeList
    /// 2.8.19-1, MUST NOT.
    case packedIndirectNegotiated
    /// 2.8.19-2, MUST NOT.
    case packedTableFlags
    /// 2.8.19-4, MUST NOT.
    case packedTableAlone
    // Block
    /// 5.2.5.1-4, MUST NOT.
    case writebackAfterFeatures
    /// 5.2.6-0a, stated.
    case requestFramed
    /// VMM-14, advice.
    case requestReserved
    /// 5.2.6-0b, advice.
    case requestNegotiated
    /// 5.2.3-0, advice.
    case diskWritable
    /// 5.2.6.1-2, MUST NOT.
    case requestOnDisk
    /// VMM-13, advice.
    case dataDirection
    /// 5.2.6.1-4, MUST.
    case flushSectorZero
    /// 5.2.6.1-5, SHOULD NOT.
    case flushWithoutData
    /// 5.2.6.1-6, MUST.
    case wholeSectors
    /// 5.2.6-0c, stated.
    case rangeGiven
    /// 5.2.6.1-7, MUST.
    case wholeRanges
    /// 5.2.6.1-8, MUST.
    case identityLength
    /// 5.2.6.1-9, MUST NOT.
    case discardRanges
    /// 5.2.6.1-11, MUST NOT.
    case writeZeroesRanges
    /// 5.2.5-0, advice.
    case rangeLength
    /// 5.2.6.1-14, MUST.
    case discardUnmapZero
    // Console
    /// 5.3.6.1-1, MUST NOT.
    case receiveWritable
    /// 5.3.6.1-2, MUST NOT.
    case transmitReadable
    /// 5.3.6.2-0, stated.
    case controlMessageValid
    // Entropy
    /// 5.4.6.1-1, MUST NOT.
    case entropyBufferWritable
    // Network
    /// 5.1.4.2-9, MUST NOT.
    case frameWithinMTU
    /// 5.1.9-0, stated.
    case frameDirection
    /// 5.1.9.2.1-1, MUST.
    case frameWhole
    /// 5.1.9.2.1-2, MUST.
    case bufferCountZero
    /// 5.1.9.2.1-3, MUST.
    case frameFlagsZero
    /// 5.1.9.2.1-7, MUST NOT.
    case segmentationNegotiated
    /// 5.1.9.2.1-30, MUST.
    case checksumInFrame
    /// 5.1.9.2.1-32, MUST.
    case segmentationNeedsChecksum
    /// 5.1.9.2.1-33, MUST.
    case segmentSizeGiven
    /// 5.1.9.2.1-45, MUST NOT.
    case receiveFlagsUnused
    /// 5.1.9.3.1-2, SHOULD.
    case receiveBufferHoldsFrame
    /// 5.1.9.3.1-3, MUST.
    case mergeableBufferHoldsHeader
    /// 5.1.9.5-0, stated.
    case commandFramed
    /// 5.1.9.5.1.2-1, MUST NOT.
    case receiveModeNegotiated
    /// 5.1.9.5.1.2-2, MUST NOT.
    case extraModeNegotiated
    /// 5.1.9.5.2.2-1, MUST NOT.
    case macCommandNegotiated
    /// 5.1.9.5.2.2-3, MUST.
    case macTableWhole
    /// 5.1.9.5.6.1-2, MUST NOT.
    case queuePairsExist
    /// 5.1.9.5.6.1-4, MUST NOT.
    case transmitPairEnabled
    // SUSPEND, the draft
    /// V5-DRV-1, MUST NOT.
    case draftBitKept
    /// V5-DRV-3, MUST NOT.
    case draftNegotiated
    /// V5-DRV-4, MUST NOT.
    case draftAfterDriverOK
    /// V5-DRV-5, MUST.
    case draftAwaited
    /// V5-DRV-7, MUST NOT.
    case draftConfigurationLeftAlone
    /// V5-DRV-9, MUST NOT.
    case draftBuffersKept
    /// V5-DRV-10, MUST NOT.
    case draftNoNewBuffers
    /// VMM-3, advice.
    case draftNoNotification
    /// H-2, advice.
    case draftNoReadModifyWrite
    // SUSPEND, 1.4
    /// V14-DRV-1, SHOULD NOT.
    case ratifiedAfterDriverOK
    /// V14-DRV-2, MUST.
    case ratifiedVerified
    /// H-1, advice.
    case ratifiedRequestedOnce
    /// V14-DRV-3, MUST NOT.
    case ratifiedNoNewBuffers
    /// V14-DRV-4, MUST NOT.
    case ratifiedNoNotification
    /// V14-DRV-5, MUST NOT.
    case ratifiedConfigurationKept
    /// V14-DRV-6, MUST.
    case ratifiedResumeAwaited
    /// V14-DRV-7, MUST NOT.
    case ratifiedBitKept
    // SUSPEND, both
    /// VMM-15, advice.
    case suspendedQueuesLeftAlone
    // virtio-mmio version 3
    /// V3-DRV-1, MUST.
    case resetAwaited

    /// The clause that this check covers.
    public var clause: Clause {
        transportClause ?? ringClause ?? deviceTypeClause ?? entropyClause ?? networkClause ?? suspendClause
    }
}
